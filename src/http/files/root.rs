//! The folder that is served, as a descriptor that nothing can be reached above of.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat, openat2, readlink};
use nix::sys::stat::Mode;

/// How often a path is looked up again that changed while the kernel looked it up.
const ATTEMPTS: usize = 16;

/// A folder opened once. It stays the same folder when its name comes to mean another one; a
/// reload of the server opens that.
///
/// The kernel resolves paths (`openat2(2)` with `RESOLVE_BENEATH`): symbolic links may lead to
/// other places inside, but neither out of the folder nor to an absolute path. Where the kernel
/// does not do that (before 5.6), or a container forbids it, what was found is looked at before it
/// is opened: links then may be absolute, too, if they lead inside.
#[derive(Debug, Clone)]
pub(super) struct Root {
    dir: Arc<OwnedFd>,
    resolver: Resolver,
}

/// Who sees to it that a path stays inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resolver {
    /// The kernel.
    Kernel,
    /// This process, by the name that the kernel has for what it found.
    Process,
}

impl Root {
    /// Opens a folder, and tries whether the kernel can look up paths as this needs it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let by_kernel = Self::open_with(path, Resolver::Kernel);
        match by_kernel.as_ref().map_err(io::Error::raw_os_error) {
            // What seccomp says to calls that it does not know.
            Err(Some(libc::ENOSYS | libc::EPERM)) => Self::open_with(path, Resolver::Process),
            _ => by_kernel,
        }
    }

    fn open_with(path: &Path, resolver: Resolver) -> io::Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = Self {
            dir: Arc::new(open(path, flags, Mode::empty())?),
            resolver,
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
        match self.resolver {
            Resolver::Kernel => self.resolve(path, flags),
            Resolver::Process => self.find(path, flags),
        }
    }

    /// The kernel finds it inside, or not at all.
    fn resolve(&self, path: &Path, flags: OFlag) -> io::Result<OwnedFd> {
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

    /// Finds it wherever it is, without opening it, and opens it if that is inside.
    fn find(&self, path: &Path, flags: OFlag) -> io::Result<OwnedFd> {
        if path.is_absolute() {
            return Err(Errno::EXDEV.into()); // as the kernel has it
        }
        let only_find = OFlag::O_PATH | OFlag::O_CLOEXEC;
        let found = openat(&*self.dir, path, only_find, Mode::empty())?;
        if !name_of(&found)?.starts_with(name_of(&self.dir)?) {
            return Err(Errno::EXDEV.into());
        }
        if flags.contains(OFlag::O_PATH) {
            return Ok(found);
        }
        Ok(open(
            &entry_of(&found),
            flags | OFlag::O_CLOEXEC,
            Mode::empty(),
        )?)
    }
}

/// Where the kernel shows a descriptor; to open that is to open the same file anew.
fn entry_of(fd: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

/// The path that a descriptor's file has now, all links resolved.
fn name_of(fd: &OwnedFd) -> io::Result<PathBuf> {
    Ok(readlink(&entry_of(fd))?.into())
}

fn not_there() -> io::Error {
    io::ErrorKind::NotFound.into()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read as _;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn both_resolvers_stay_inside() {
        let folder = tempfile::tempdir().unwrap();
        let public = folder.path().join("public");
        fs::create_dir_all(public.join("sub")).unwrap();
        fs::create_dir(folder.path().join("public-not")).unwrap();
        for name in ["secret", "public/page", "public/sub/deep", "public-not/x"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        for (to, link) in [
            ("page", "inside"),
            ("../page", "sub/up"),
            ("../secret", "outside"),
            ("../public-not/x", "neighbour"),
            ("/etc/passwd", "absolute"),
            ("..", "parent"),
        ] {
            symlink(to, public.join(link)).unwrap();
        }
        for resolver in [Resolver::Kernel, Resolver::Process] {
            let root = Root::open_with(&public, resolver).unwrap();
            let read = |path: &str| {
                let (mut file, _) = root.read(Path::new(path))?;
                let mut text = String::new();
                file.read_to_string(&mut text).map(|_| text)
            };
            for path in ["page", "inside", "sub/up"] {
                assert_eq!(read(path).unwrap(), "public/page", "{resolver:?} {path}");
            }
            for path in [
                "outside",
                "neighbour",
                "absolute",
                "parent/secret",
                "../secret",
                "/etc/passwd",
                "sub",
                "nowhere",
            ] {
                assert!(read(path).is_err(), "{resolver:?} {path}");
                if path != "sub" {
                    assert!(root.stat(Path::new(path)).is_err(), "{resolver:?} {path}");
                }
            }
        }
    }
}
