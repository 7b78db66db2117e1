//! Where a server in the background writes.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::failure::Failure;

/// How much of the error log is shown when the program died without a word.
const TAIL_LINES: usize = 20;
const TAIL_BYTES: u64 = 64 * 1024;

/// The two files.
#[derive(Debug)]
pub(super) struct Logs {
    /// Its standard output.
    pub(super) out: PathBuf,
    /// Its standard error.
    pub(super) error: PathBuf,
    /// How long the error log was before.
    error_length: u64,
}

impl Logs {
    /// Makes the folder and the files, which only this user can read.
    pub(super) fn open(folder: &Path) -> Result<Self, Failure> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(Failure::to(format!(
            "make the folder {} for the logs (`run` serves in the foreground and needs none)",
            folder.display()
        )))?;
        let (out, error) = (folder.join("out.log"), folder.join("error.log"));
        let length = append(&error)?.metadata().map_or(0, |meta| meta.len());
        Ok(Self {
            out,
            error,
            error_length: length,
        })
    }

    /// What was written to the error log since, at most the end of it.
    pub(super) fn last_words(&self) -> String {
        let text = self.read_new().unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        let log = self.error.display();
        match &lines[lines.len().saturating_sub(TAIL_LINES)..] {
            [] => format!("it wrote nothing to {log}"),
            lines => format!("the end of {log}:\n{}", lines.join("\n")),
        }
    }

    fn read_new(&self) -> io::Result<String> {
        let mut file = File::open(&self.error)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(
            self.error_length.max(length.saturating_sub(TAIL_BYTES)),
        ))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Opens a log to write at its end.
pub(super) fn append(path: &Path) -> Result<File, Failure> {
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path);
    file.map_err(Failure::to(format!("open the log {}", path.display())))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_last_words_are_those_of_this_start() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("shop");
        Logs::open(&folder).unwrap();
        fs::write(folder.join("error.log"), "yesterday\n").unwrap();
        let logs = Logs::open(&folder).unwrap();
        assert!(
            logs.last_words().starts_with("it wrote nothing"),
            "{}",
            logs.last_words()
        );
        let lines: String = (0..30).map(|n| format!("line {n}\n")).collect();
        fs::write(&logs.error, format!("yesterday\n{lines}")).unwrap();
        let said = logs.last_words();
        assert!(said.ends_with("line 28\nline 29"), "{said}");
        assert!(
            said.contains("\nline 10\n") && !said.contains("line 9\n"),
            "{said}"
        );
    }

    #[test]
    fn the_logs_are_private() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("state/shop");
        let logs = Logs::open(&folder).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&logs.error), 0o600);
    }
}
