//! The folder of the store: who has it open, whether what lies there can be trusted, how large it
//! is.
//!
//! A process holds the lock of the file `users` for as long as it has the store open: shared, or
//! alone while it finds out whether it is the first one, or the last one. The first one looks at
//! the file `mark`. After a clean end the data is on the disk; after an unclean one it is in
//! the kernel's memory, as long as the machine has not been started anew: else it is
//! thrown away, since commits are not synced and pages may be of any age.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::poll::{PollTimeout, poll};

/// The lock; the mark; the marker of damage.
const USERS: &str = "users";
const MARK: &str = "mark";
const DAMAGED: &str = "damaged";

/// LMDB's own files, and where a data file goes that is none of ours.
const DATA: &str = "data.mdb";
const LOCKS: &str = "lock.mdb";
const ASIDE: &str = "data.mdb.old";

/// What the mark begins with; another format is not read.
const FORMAT: &str = "appserver store 1";

/// How long the first one may take to get ready, or the last one to write everything to the disk.
const WAIT: Duration = Duration::from_secs(8);
const PAUSE: Duration = Duration::from_millis(5);

/// How many transactions may read at the same time, in all processes; a worker has one at a time.
pub(super) const READERS: u32 = 4096;

/// The bytes that LMDB keeps about each of them.
const READER: usize = 64;

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum PlaceError {
    /// The system does not allow something.
    #[error("{path}: {error}; {}", remedy(error), path = path.display())]
    System {
        /// Of what.
        path: PathBuf,
        /// What it says; shown, and so not a source too.
        error: io::Error,
    },
    /// Somebody else opens or closes it, for too long.
    #[error("{0}: another process is opening or closing the store, and does not finish")]
    Busy(PathBuf),
    /// It is open elsewhere, but the mark is not there.
    #[error("{0}: in use, but without a mark: stop what uses it, or delete it")]
    Unmarked(PathBuf),
}

/// What is to be done about it.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "make room there, or set `dir` in [store]"
        }
        _ => "set `dir` in [store] to a folder that the workers' user may write",
    }
}

/// A folder in use.
#[derive(Debug)]
pub(super) struct Place {
    dir: PathBuf,
    /// Locked.
    users: File,
    boot: Option<String>,
}

/// What the first one found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// Somebody else has the store open, with a map of so many bytes.
    Others(u64),
    /// Nobody has; what was there is good.
    Kept,
    /// Nobody has, and nothing was there.
    Nothing,
    /// Nobody has, and what was there is gone; the reason, for people.
    Emptied(String),
}

/// What the mark says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    is_clean: bool,
    boot: Option<String>,
    size: u64,
}

impl Place {
    /// Enters the folder. Unless others are there, this holds it alone until
    /// [`share`](Self::share); `boot` is what the time since the start of the machine is called.
    pub(super) fn enter(
        dir: &Path,
        boot: Option<String>,
        size: u64,
    ) -> Result<(Self, Found), PlaceError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| PlaceError::System { path, error }
        };
        // For an app that opens a store which the master knew nothing of, if its user may.
        let folders = DirBuilder::new().recursive(true).mode(0o700).create(dir);
        folders.map_err(failed(dir))?;
        let users = dir.join(USERS);
        let file = private().write(true).open(&users);
        let place = Self {
            dir: dir.to_owned(),
            users: file.map_err(failed(&users))?,
            boot,
        };
        let is_first = place.wait(|users| match users.try_lock() {
            Err(TryLockError::WouldBlock) => users.try_lock_shared().map(|()| false),
            other => other.map(|()| true),
        })?;
        let found = if is_first {
            place.begin(size).map_err(failed(dir))?
        } else {
            let mark = place.mark();
            let mark = mark.ok_or_else(|| PlaceError::Unmarked(dir.to_owned()))?;
            Found::Others(mark.size)
        };
        Ok((place, found))
    }

    /// Lets others in.
    pub(super) fn share(&self) -> Result<(), PlaceError> {
        self.wait(File::try_lock_shared)
    }

    /// Leaves the folder, with the store closed before. The last one writes everything to the
    /// disk and says so in the mark; whether this was the last one.
    pub(super) fn leave(self) -> io::Result<bool> {
        match self.users.try_lock() {
            Ok(()) => {}
            // The kernel gives the shared lock up first: of several that leave at once, one is last.
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let Some(mark) = self.mark() else {
            return Ok(true); // somebody has deleted it: nothing is known, nothing is said
        };
        File::open(self.dir.join(DATA))?.sync_all()?;
        self.write_mark(&Mark {
            is_clean: true,
            ..mark
        })?;
        Ok(true)
    }

    /// Notes that LMDB calls the file damaged: the next first one starts anew.
    pub(super) fn note_damage(dir: &Path) {
        let _ = File::create(dir.join(DAMAGED)); // it is told in the log, too
    }

    /// Throws away what is there, when the first one cannot open it.
    pub(super) fn start_anew(&self, size: u64) -> io::Result<()> {
        self.put_aside()?;
        self.prepare(size)
    }

    /// The first one: decides about what is there, and says that the store is open.
    fn begin(&self, size: u64) -> io::Result<Found> {
        let data = self.dir.join(DATA);
        let is_there = data.try_exists()?;
        let found = match self.mark() {
            _ if !is_there => Found::Nothing,
            _ if self.dir.join(DAMAGED).exists() => {
                Found::Emptied("the file was damaged".to_owned())
            }
            None => Found::Emptied("nobody knows who wrote the file".to_owned()),
            Some(mark) if mark.is_clean => Found::Kept,
            Some(mark) if mark.boot.is_some() && mark.boot == self.boot => Found::Kept,
            Some(_) => Found::Emptied(
                "the machine went down while it was open, and it is not synced meanwhile"
                    .to_owned(),
            ),
        };
        match &found {
            Found::Emptied(_) if self.mark().is_none() || self.dir.join(DAMAGED).exists() => {
                self.put_aside()?;
            }
            Found::Emptied(_) => fs::remove_file(&data)?,
            _ => {}
        }
        self.prepare(size)?;
        Ok(found)
    }

    /// Gets ready to open: the mark is on the disk before the first change is made.
    fn prepare(&self, size: u64) -> io::Result<()> {
        // LMDB would make the table of readers a file with holes, and a full disk would kill
        // whoever writes into one.
        let readers = usize::try_from(READERS).unwrap_or(usize::MAX);
        let mut locks = private()
            .write(true)
            .truncate(true)
            .open(self.dir.join(LOCKS))?;
        locks.write_all(&vec![0; readers * READER])?;
        self.write_mark(&Mark {
            is_clean: false,
            boot: self.boot.clone(),
            size,
        })
    }

    fn put_aside(&self) -> io::Result<()> {
        let renamed = fs::rename(self.dir.join(DATA), self.dir.join(ASIDE));
        let removed = fs::remove_file(self.dir.join(DAMAGED));
        for result in [renamed, removed] {
            match result {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn mark(&self) -> Option<Mark> {
        let text = fs::read_to_string(self.dir.join(MARK)).ok()?;
        Mark::parse(&text)
    }

    /// Replaces the mark; it is on the disk when this returns.
    fn write_mark(&self, mark: &Mark) -> io::Result<()> {
        let draft = self.dir.join("mark.new");
        let mut file = private().write(true).truncate(true).open(&draft)?;
        file.write_all(mark.text().as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, self.dir.join(MARK))?;
        File::open(&self.dir)?.sync_all()
    }

    /// Tries to lock until it works.
    fn wait<T>(&self, lock: impl Fn(&File) -> Result<T, TryLockError>) -> Result<T, PlaceError> {
        let until = Instant::now() + WAIT;
        loop {
            match lock(&self.users) {
                Ok(locked) => return Ok(locked),
                Err(TryLockError::Error(error)) => {
                    let path = self.dir.join(USERS);
                    return Err(PlaceError::System { path, error });
                }
                Err(TryLockError::WouldBlock) if Instant::now() >= until => {
                    return Err(PlaceError::Busy(self.dir.clone()));
                }
                Err(TryLockError::WouldBlock) => {
                    let pause = PollTimeout::try_from(PAUSE).unwrap_or(PollTimeout::ZERO);
                    let _ = poll(&mut [], pause); // a signal only shortens the pause
                }
            }
        }
    }
}

impl Mark {
    fn text(&self) -> String {
        let state = if self.is_clean { "clean" } else { "open" };
        let boot = self.boot.as_deref().unwrap_or_default();
        format!("{FORMAT}\nstate {state}\nboot {boot}\nsize {}\n", self.size)
    }

    /// Nothing if it was not written by [`text`](Self::text), to its last line.
    fn parse(text: &str) -> Option<Self> {
        let lines: Vec<&str> = text.strip_suffix('\n')?.split('\n').collect();
        let [FORMAT, state, boot, size] = lines[..] else {
            return None;
        };
        let is_clean = match state {
            "state clean" => true,
            "state open" => false,
            _ => return None,
        };
        let boot = boot.strip_prefix("boot ")?.to_owned();
        Some(Self {
            is_clean,
            boot: Some(boot).filter(|boot| !boot.is_empty()),
            size: size.strip_prefix("size ")?.parse().ok()?,
        })
    }
}

/// A file that is nobody else's, made if need be.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).mode(0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(dir: &Path, boot: &str) -> (Place, Found) {
        Place::enter(dir, Some(boot.to_owned()), 1 << 20).unwrap()
    }

    #[test]
    fn a_mark_is_read_as_it_was_written_or_not_at_all() {
        for (is_clean, boot) in [(true, Some("b")), (false, None)] {
            let boot = boot.map(str::to_owned);
            let mark = Mark {
                is_clean,
                boot,
                size: 7,
            };
            assert_eq!(Mark::parse(&mark.text()), Some(mark.clone()));
            let text = mark.text();
            for length in 0..text.len() {
                assert_eq!(Mark::parse(&text[..length]), None, "{length}");
            }
        }
    }

    #[test]
    fn what_is_there_is_kept_only_if_it_can_be_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("store");
        fs::create_dir(&dir).unwrap();
        let data = dir.join(DATA);
        let (place, found) = enter(&dir, "1");
        assert_eq!(found, Found::Nothing);
        fs::write(&data, "x").unwrap();
        drop(place); // killed
        assert_eq!(enter(&dir, "1").1, Found::Kept, "the kernel has all of it");
        assert!(matches!(enter(&dir, "2").1, Found::Emptied(_)));
        assert!(!data.exists());
        fs::write(&data, "x").unwrap();
        assert!(enter(&dir, "2").0.leave().unwrap());
        assert_eq!(enter(&dir, "3").1, Found::Kept, "closed cleanly");
        fs::remove_file(dir.join(MARK)).unwrap();
        assert!(matches!(enter(&dir, "3").1, Found::Emptied(_)));
        assert!(dir.join(ASIDE).exists(), "nobody's file is not deleted");
        fs::write(&data, "x").unwrap();
        Place::note_damage(&dir);
        assert!(matches!(enter(&dir, "3").1, Found::Emptied(_)));
        fs::write(&data, "x").unwrap();
        assert_eq!(enter(&dir, "3").1, Found::Kept, "it is told once");
    }

    #[test]
    fn an_unknown_boot_is_not_the_same_as_another_unknown_one() {
        let folder = tempfile::tempdir().unwrap();
        drop(Place::enter(folder.path(), None, 1).unwrap());
        fs::write(folder.path().join(DATA), "x").unwrap();
        let (_, found) = Place::enter(folder.path(), None, 1).unwrap();
        assert!(matches!(found, Found::Emptied(_)));
    }

    #[test]
    fn the_last_one_says_that_it_is_clean() {
        let folder = tempfile::tempdir().unwrap();
        let (first, _) = enter(folder.path(), "1");
        first.share().unwrap();
        fs::write(folder.path().join(DATA), "x").unwrap();
        let (second, found) = enter(folder.path(), "1");
        assert_eq!(found, Found::Others(1 << 20));
        assert!(!first.leave().unwrap());
        assert!(!second.mark().unwrap().is_clean);
        assert!(second.leave().unwrap());
        let (third, found) = enter(folder.path(), "2");
        assert_eq!(found, Found::Kept);
        assert!(!third.mark().unwrap().is_clean, "open again");
    }
}
