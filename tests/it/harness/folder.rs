//! The folder of one server, and what a server in the background keeps elsewhere.

use std::fs;
use std::path::{Path, PathBuf};

use nix::unistd::Uid;
use tempfile::TempDir;

/// A folder of its own, gone with the test.
#[derive(Debug)]
pub(crate) struct Folder(TempDir);

impl Folder {
    /// A new one.
    pub(super) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("appserver-it-").tempdir();
        let folder = folder.expect("a temporary folder can be made");
        // Workers that have dropped privileges must be able to look into it.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(folder.path(), open).expect("the folder is ours");
        Self(folder)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Where a server in the background logs, unless it was given a name: root's servers have a
    /// place that no variable moves.
    pub(super) fn state(&self) -> PathBuf {
        let name = self.path().file_name().expect("it has a name");
        let all = if Uid::effective().is_root() {
            PathBuf::from("/var/lib/appserver")
        } else {
            self.path().join("state/appserver")
        };
        all.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.state()); // most tests have none
    }
}
