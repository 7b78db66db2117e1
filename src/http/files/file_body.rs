//! The body of a response that is a part of a file: as many bytes as were announced, or an error.
//!
//! It is never in memory as a whole, and never waits for a disk on the worker's thread.

use std::fmt;
use std::fs::File;
use std::future::Future;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::http::BoxError;
use crate::sys::region::{Region, WINDOW, Watch, Window, is_in_memory, read_if_in_memory};

/// How much of a file is read at a time where it must be read.
const CHUNK: usize = 64 * 1024;

/// How much one client may have in a row before the worker looks after the others.
const MAX_STREAK: usize = 4 * WINDOW;

/// A file became shorter while it was sent; the client must not take the piece for the whole.
#[derive(Debug, thiserror::Error)]
#[error("a file was cut short while it was sent, {missing} bytes are missing")]
struct CutShort {
    missing: u64,
}

/// A part of a file, sent from a position of its own.
///
/// Whoever polls it gets bytes that were read. Only the outermost layer, which knows that nobody
/// looks at them any more, asks for [regions](Region) instead.
pub(crate) struct FileBody {
    file: Arc<File>,
    position: u64,
    end: u64,
    how: How,
    /// What the disk is waited for.
    job: Option<Job>,
    /// Bytes since others had a turn.
    streak: usize,
    /// Who is told when it breaks off.
    watch: Option<Arc<dyn Watch>>,
}

/// What [`poll_frame`](http_body::Body::poll_frame) returns.
type Polled = Poll<Option<Result<Frame<Bytes>, BoxError>>>;

/// What the frames are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// Bytes.
    Read,
    /// Address ranges for `sendfile(2)`.
    Send,
}

/// Work on a thread that may wait.
enum Job {
    /// A chunk is read.
    Read(JoinHandle<io::Result<Vec<u8>>>),
    /// A window is brought into the page cache.
    Warm(JoinHandle<io::Result<()>>),
}

impl FileBody {
    /// The bytes of `file` from `start` up to, not including, `end`.
    pub(super) fn new(file: Arc<File>, start: u64, end: u64) -> Self {
        Self {
            file,
            position: start,
            end,
            how: How::Read,
            job: None,
            streak: 0,
            watch: None,
        }
    }

    /// Has somebody told when it breaks off, also when nobody polls it any more; `watch` makes them
    /// of the place in the file where this begins.
    pub(crate) fn watch(&mut self, watch: impl FnOnce(u64) -> Arc<dyn Watch>) {
        self.watch = Some(watch(self.position));
    }

    /// From here on the frames are regions: nobody but the write path may have them.
    pub(crate) fn send_unread(&mut self) {
        self.how = How::Send;
    }

    fn remaining(&self) -> u64 {
        self.end.saturating_sub(self.position)
    }

    /// The next part, of at most `most` bytes.
    fn window(&self, most: usize) -> Window {
        let len = usize::try_from(self.remaining()).map_or(most, |left| left.min(most));
        Window {
            file: Arc::clone(&self.file),
            offset: self.position,
            len,
            watch: self.watch.clone(),
        }
    }

    fn advance(&mut self, bytes: Bytes) -> Polled {
        if bytes.is_empty() {
            return self.cut_short();
        }
        self.position += bytes.len() as u64;
        self.streak += bytes.len();
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn cut_short(&mut self) -> Polled {
        let missing = self.remaining();
        self.fail(CutShort { missing })
    }

    fn fail(&mut self, error: impl Into<BoxError>) -> Polled {
        let error = error.into();
        if let Some(watch) = &self.watch {
            watch.broke_off(self.position, &*error);
        }
        self.position = self.end;
        Poll::Ready(Some(Err(error)))
    }

    /// A frame for the write path.
    fn send(&mut self, window: Window) -> Polled {
        match Region::new(window) {
            Some(region) => self.advance(Bytes::from_owner(region)),
            None => {
                self.how = How::Read; // no address space: the rest is read
                self.read()
            }
        }
    }

    /// A frame that is read on this thread.
    fn read(&mut self) -> Polled {
        match read(&self.window(CHUNK)) {
            Ok(bytes) => self.advance(bytes.into()),
            Err(error) => self.fail(error),
        }
    }

    /// What the job has brought.
    fn poll_job(&mut self, job: Job, cx: &mut Context<'_>) -> Polled {
        match job {
            Job::Read(mut reading) => match Pin::new(&mut reading).poll(cx) {
                Poll::Pending => {
                    self.job = Some(Job::Read(reading));
                    Poll::Pending
                }
                Poll::Ready(Ok(Ok(bytes))) => self.advance(bytes.into()),
                Poll::Ready(Ok(Err(error))) => self.fail(error),
                Poll::Ready(Err(error)) => self.fail(error),
            },
            Job::Warm(mut warming) => match Pin::new(&mut warming).poll(cx) {
                Poll::Pending => {
                    self.job = Some(Job::Warm(warming));
                    Poll::Pending
                }
                Poll::Ready(Ok(Ok(()))) => {
                    let window = self.window(WINDOW);
                    self.send(window)
                }
                Poll::Ready(Ok(Err(error))) => self.fail(error),
                Poll::Ready(Err(error)) => self.fail(error),
            },
        }
    }

    fn next_sent(&mut self, cx: &mut Context<'_>) -> Polled {
        let window = self.window(WINDOW);
        if is_in_memory(&window) {
            return self.send(window);
        }
        match Handle::try_current() {
            Ok(runtime) => {
                let job = Job::Warm(runtime.spawn_blocking(move || warm(&window)));
                self.poll_job(job, cx)
            }
            Err(_) => self.send(window), // no worker: nobody else waits
        }
    }

    fn next_read(&mut self, cx: &mut Context<'_>) -> Polled {
        let window = self.window(CHUNK);
        let mut space = vec![0; window.len];
        match read_if_in_memory(&self.file, &mut space, self.position) {
            Ok(read) => {
                space.truncate(read);
                return self.advance(space.into());
            }
            Err(error) if is_cold(&error) => {}
            Err(error) => return self.fail(error),
        }
        match Handle::try_current() {
            Ok(runtime) => {
                let job = Job::Read(runtime.spawn_blocking(move || read(&window)));
                self.poll_job(job, cx)
            }
            Err(_) => self.read(),
        }
    }
}

/// Whether a read would wait for a device, or may.
pub(super) fn is_cold(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EAGAIN | libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL)
    )
}

/// Reads a part of a file, or what is there of it.
fn read(window: &Window) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; window.len];
    let mut filled = 0;
    while filled < bytes.len() {
        match window
            .file
            .read_at(&mut bytes[filled..], window.offset + filled as u64)
        {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// Brings a part of a file into the page cache, in small pieces.
///
/// # Errors
/// The disk's, or the end of the file before the part's.
pub(super) fn warm(window: &Window) -> io::Result<()> {
    let mut done = 0;
    while done < window.len {
        let piece = Window {
            file: Arc::clone(&window.file),
            offset: window.offset + done as u64,
            len: (window.len - done).min(CHUNK),
            watch: None,
        };
        let count = read(&piece)?.len();
        if count == 0 {
            return Err(io::Error::other(CutShort {
                missing: (window.len - done) as u64,
            }));
        }
        done += count;
    }
    Ok(())
}

impl http_body::Body for FileBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled {
        let this = &mut *self;
        if this.remaining() == 0 {
            return Poll::Ready(None);
        }
        if let Some(job) = this.job.take() {
            return this.poll_job(job, cx);
        }
        if this.streak >= MAX_STREAK {
            this.streak = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match this.how {
            How::Send => this.next_sent(cx),
            How::Read => this.next_read(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.remaining() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining())
    }
}

impl fmt::Debug for FileBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileBody({} bytes, {:?})", self.remaining(), self.how)
    }
}
