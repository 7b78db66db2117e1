//! Old log files on the disk: finding, compressing and deleting them.

use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::{self, BufReader, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::rotation::{Form, Old, Rules, read_name};

/// What is to be done with old files.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Chores {
    /// Deleted, in this order.
    delete: Vec<PathBuf>,
    /// Compressed.
    pack: Vec<PathBuf>,
}

impl Chores {
    /// Looks for what there is to do around these logs. Nothing is compressed unless all of the
    /// old files are complete.
    pub(crate) fn find(logs: &[PathBuf], rules: Rules, are_complete: bool) -> Self {
        let (mut old, mut paths) = (Vec::new(), Vec::new());
        let mut live = 0;
        for (log, path) in logs.iter().enumerate() {
            live += path.metadata().map_or(0, |found| found.len());
            for (path, age, form, bytes) in old_files(path) {
                old.push(Old {
                    log,
                    age,
                    form,
                    bytes,
                });
                paths.push(path);
            }
        }
        let doomed = rules.doomed(&old, live, logs.len());
        let is_packed = |index: &usize| {
            are_complete
                && rules.compress
                && old[*index].form == Form::Plain
                && !doomed.contains(index)
        };
        let to_pack = (0..old.len()).filter(is_packed);
        Self {
            pack: to_pack.map(|index| paths[index].clone()).collect(),
            delete: doomed.iter().map(|index| paths[*index].clone()).collect(),
        }
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.delete.is_empty() && self.pack.is_empty()
    }

    /// Does it all; says whether everything went well.
    pub(crate) fn run(&self) -> bool {
        let mut is_well = true;
        for path in &self.delete {
            if let Err(error) = fs::remove_file(path) {
                is_well = false;
                tracing::warn!(path = %path.display(), %error, "cannot delete an old log");
            }
        }
        for path in &self.pack {
            if let Err(error) = pack(path) {
                is_well = false;
                tracing::warn!(path = %path.display(), %error, "cannot compress an old log");
            }
        }
        is_well
    }
}

type Found = (PathBuf, super::rotation::Age, Form, u64);

fn old_files(live: &Path) -> Vec<Found> {
    let folder = live.parent().unwrap_or(Path::new("/"));
    let (Some(name), Ok(entries)) = (live.file_name(), fs::read_dir(folder)) else {
        return Vec::new();
    };
    let name = name.to_string_lossy();
    let entries = entries.flatten().filter_map(|entry| {
        let (age, form) = read_name(&name, entry.file_name().to_str()?)?;
        let found = entry.metadata().ok().filter(|found| found.is_file())?;
        Some((entry.path(), age, form, found.len()))
    });
    entries.collect()
}

/// Compresses a file beside itself and takes its place, once all of it is on the disk.
fn pack(path: &Path) -> io::Result<()> {
    let (packed, unfinished) = (with(path, ".gz"), with(path, ".gz.tmp"));
    let done = write_packed(path, &unfinished).and_then(|()| fs::rename(&unfinished, &packed));
    if done.is_err() {
        let _ = fs::remove_file(&unfinished); // it may not even be there
    }
    done?;
    fs::remove_file(path)
}

fn write_packed(path: &Path, unfinished: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    let found = file.metadata()?;
    let target = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(found.mode() & 0o777)
        .open(unfinished)?;
    let mut encoder = GzEncoder::new(target, Compression::default());
    io::copy(
        &mut BufReader::with_capacity(256 * 1024, file),
        &mut encoder,
    )?;
    let mut target = encoder.finish()?;
    target.flush()?;
    target.set_times(FileTimes::new().set_modified(found.modified()?))?;
    // Not ours to give, unless we are root.
    let _ = std::os::unix::fs::fchown(&target, Some(found.uid()), Some(found.gid()));
    target.sync_all()
}

fn with(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::time::Duration;

    use flate2::read::GzDecoder;

    use super::*;
    use crate::config;

    fn rules(retain: u32) -> Rules {
        Rules::from(&config::Log {
            level: String::new(),
            format: config::AppLogFormat::Auto,
            rotate_size: 1_000_000,
            rotate_interval: Duration::ZERO,
            retain,
            compress: true,
            disk_budget: 0,
        })
    }

    #[test]
    fn old_files_are_compressed_whole_and_the_oldest_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let live = folder.path().join("a.log");
        let text = "a line of some length\n".repeat(50_000);
        fs::write(&live, "live").unwrap();
        for name in [
            "a.log.20260101T000000Z.gz",
            "a.log.20260102T000000Z",
            "a.log.20260103T000000Z",
            "a.log.20260101T000000Z.gz.tmp",
            "a.log.1",
        ] {
            fs::write(folder.path().join(name), &text).unwrap();
        }
        let chores = Chores::find(std::slice::from_ref(&live), rules(2), true);
        assert!(chores.run());
        let names = fs::read_dir(folder.path()).unwrap().flatten();
        let mut names: Vec<_> = names
            .map(|e| e.file_name().into_string().unwrap())
            .collect();
        names.sort();
        let expected = [
            "a.log",
            "a.log.1",
            "a.log.20260102T000000Z.gz",
            "a.log.20260103T000000Z.gz",
        ];
        assert_eq!(names, expected);
        let packed = File::open(folder.path().join(names[2].as_str())).unwrap();
        let mut read = String::new();
        GzDecoder::new(packed).read_to_string(&mut read).unwrap();
        assert!(read == text);
        assert!(Chores::find(&[live], rules(2), true).is_empty());
    }

    #[test]
    fn what_cannot_be_compressed_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log.20260102T000000Z");
        fs::write(&path, "text").unwrap();
        fs::create_dir(folder.path().join("a.log.20260102T000000Z.gz")).unwrap();
        assert!(pack(&path).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "text");
        assert!(!folder.path().join("a.log.20260102T000000Z.gz.tmp").exists());
    }
}
