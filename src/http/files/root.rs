//! The folder that is served, as a descriptor that nothing can be reached above of.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::Mode;

/// How often a path is looked up again that changed while the kernel looked it up.
const ATTEMPTS: usize = 16;

/// A folder opened once. It stays the same folder when its name comes to mean another one; a
/// reload of the server opens that.
///
/// The kernel resolves paths (`openat2(2)` with `RESOLVE_BENEATH`): symbolic links may lead to
/// other places inside, but neither out of the folder nor to an absolute path.
#[derive(Debug, Clone)]
pub(super) struct Root {
    dir: Arc<OwnedFd>,
}

impl Root {
    /// Opens a folder, and tries that the kernel can look up paths as this needs it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = Self {
            dir: Arc::new(open(path, flags, Mode::empty())?),
        };
        root.stat(Path::new("."))?;
        Ok(root)
    }

    /// What is at a path; opens nothing, so it neither waits for a pipe nor wakes a device. What
    /// is neither a file nor a folder is not there.
    pub(super) fn stat(&self, path: &Path) -> io::Result<Metadata> {
        let found = File::from(self.lookup(path, OFlag::O_PATH)?).metadata()?;
        if found.is_file() || found.is_dir() {
            Ok(found)
        } else {
            Err(not_there())
        }
    }

    /// Opens a regular file to read. The second look is at what was opened.
    pub(super) fn read(&self, path: &Path) -> io::Result<(File, Metadata)> {
        self.stat(path)?;
        let file = File::from(self.lookup(path, OFlag::O_NONBLOCK | OFlag::O_NOCTTY)?);
        let found = file.metadata()?;
        if found.is_file() {
            Ok((file, found))
        } else {
            Err(not_there())
        }
    }

    /// Opens a path to read, or as `flags` say.
    fn lookup(&self, path: &Path, flags: OFlag) -> io::Result<OwnedFd> {
        let how = OpenHow::new()
            .flags(flags | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        let mut result = Err(Errno::EAGAIN);
        for _ in 0..ATTEMPTS {
            result = openat2(&*self.dir, path, how);
            if !matches!(result, Err(Errno::EAGAIN | Errno::EINTR)) {
                break;
            }
        }
        Ok(result?)
    }
}

fn not_there() -> io::Error {
    io::ErrorKind::NotFound.into()
}
