//! The whole: the order of the layers, the words of the problems, the sample files.

use std::fs;

use tempfile::TempDir;

use super::*;

mod addresses;
mod layers;
mod problems;
mod sample;
mod session;
mod table;

/// A working folder with files in it, and the sources that look at it.
struct Site {
    folder: TempDir,
    sources: Sources,
}

impl Site {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let cwd = folder.path().join("shop");
        fs::create_dir(&cwd).unwrap();
        Self {
            folder,
            sources: Sources {
                cwd,
                ..Sources::default()
            },
        }
    }

    fn file(self, name: &str, text: &str) -> Self {
        fs::write(self.sources.cwd.join(name), text).unwrap();
        self
    }

    fn toml(self, text: &str) -> Self {
        self.file("appserver.toml", text)
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.sources.env.insert(name.to_owned(), value.to_owned());
        self
    }

    fn flags(mut self, change: impl FnOnce(&mut Flags)) -> Self {
        change(&mut self.sources.flags);
        self
    }

    fn config(&self) -> Config {
        load(&self.sources)
            .map_err(|problems| problems.to_string())
            .unwrap()
            .config
    }

    /// The problems, with the folder's name taken out.
    fn problems(&self) -> Vec<String> {
        let problems = load(&self.sources).unwrap_err().to_string();
        let folder = self.folder.path().display().to_string();
        problems
            .replace(&folder, "TMP")
            .lines()
            .map(str::to_owned)
            .collect()
    }

    fn addresses(&self) -> Vec<String> {
        self.config()
            .listen
            .iter()
            .map(|listen| listen.address.to_string())
            .collect()
    }
}
