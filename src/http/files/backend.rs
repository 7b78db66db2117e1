//! Files for tower-http's `ServeDir`: every call is answered at once, on this thread.

use std::fs;
use std::future::{Ready, ready};
use std::io::{self, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncRead, AsyncSeek, ReadBuf};
use tower_http::services::fs::{Backend, File, Metadata};

use super::root::Root;

/// The first second that an HTTP date cannot name: the year 10000.
const END_OF_DATES: Duration = Duration::from_secs(253_402_300_800);

impl Backend for Root {
    type File = OpenFile;
    type Metadata = Facts;
    type OpenFuture = Ready<io::Result<OpenFile>>;
    type MetadataFuture = Ready<io::Result<Facts>>;

    fn open(&self, path: PathBuf) -> Self::OpenFuture {
        ready(self.read(&path).map(|(file, found)| OpenFile {
            file,
            facts: Facts::of(&found),
            position: 0,
        }))
    }

    fn metadata(&self, path: PathBuf) -> Self::MetadataFuture {
        ready(self.stat(&path).map(|found| Facts::of(&found)))
    }
}

/// What a response says about a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts {
    is_dir: bool,
    len: u64,
    modified: Option<SystemTime>,
}

impl Facts {
    /// A time that HTTP cannot write down is left out: `httpdate` would panic at it.
    fn of(found: &fs::Metadata) -> Self {
        let modified = found.modified().ok().filter(|time| {
            time.duration_since(SystemTime::UNIX_EPOCH)
                .is_ok_and(|since| since < END_OF_DATES)
        });
        Self {
            is_dir: found.is_dir(),
            len: found.len(),
            modified,
        }
    }
}

impl Metadata for Facts {
    fn is_dir(&self) -> bool {
        self.is_dir
    }

    fn modified(&self) -> io::Result<SystemTime> {
        self.modified
            .ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    fn len(&self) -> u64 {
        self.len
    }
}

/// A regular file, read from a position of its own and not beyond the length it had when it was
/// opened, which is the length the response announces.
#[derive(Debug)]
pub(super) struct OpenFile {
    file: fs::File,
    facts: Facts,
    position: u64,
}

impl File for OpenFile {
    type Metadata = Facts;
    type MetadataFuture<'a> = Ready<io::Result<Facts>>;

    fn metadata(&self) -> Self::MetadataFuture<'_> {
        ready(Ok(self.facts))
    }
}

impl AsyncRead for OpenFile {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = self.facts.len.saturating_sub(self.position);
        let room = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buf.remaining());
        let space = buf.initialize_unfilled_to(room);
        let count = loop {
            match self.file.read_at(space, self.position) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        buf.advance(count);
        self.position += count as u64;
        Poll::Ready(Ok(()))
    }
}

impl AsyncSeek for OpenFile {
    fn start_seek(mut self: Pin<&mut Self>, position: SeekFrom) -> io::Result<()> {
        let position = match position {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.facts.len.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(())
    }

    fn poll_complete(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        Poll::Ready(Ok(self.position))
    }
}
