//! Starts a Node program of `tests/express`: what Express users have, to compare with.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::wait;

/// A running Express app.
#[derive(Debug)]
pub(crate) struct Express {
    child: Child,
    /// Where its output goes.
    folder: TempDir,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Express {
    /// Starts a program of `tests/express` on a free port, with these variables.
    pub(crate) fn start(program: &str, env: &[(&str, &str)]) -> Self {
        let app = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/express");
        assert!(
            app.join("node_modules/express").exists(),
            "the packages of {} are missing: `npm ci` there installs them, and so does tests/run",
            app.display()
        );
        let folder = TempDir::new().unwrap();
        let file = |name| File::create(folder.path().join(name)).unwrap();
        let child = Command::new("node")
            .arg(program)
            .current_dir(&app)
            .env("NODE_ENV", "test") // errors are not written on standard error
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .spawn()
            .expect("node runs");
        let mut express = Self {
            child,
            folder,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        let port = wait::until(|| {
            let lines = express.lines();
            lines.first()?.strip_prefix("port ")?.parse().ok()
        });
        let port = port.unwrap_or_else(|| panic!("Express does not listen: {}", express.errors()));
        express.address.set_port(port);
        express
    }

    /// What it has written, in whole lines.
    pub(crate) fn lines(&self) -> Vec<String> {
        let text = self.said("stdout");
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(str::to_owned).collect()
    }

    /// What it has written on standard error.
    pub(crate) fn errors(&self) -> String {
        self.said("stderr")
    }

    fn said(&self, file: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(file)).unwrap_or_default()
    }
}

impl Drop for Express {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("errors of Express:\n{}", self.errors());
        }
    }
}
