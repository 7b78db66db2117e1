//! The operator's end of the control socket; the only code of this folder that waits.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::Uid;
use socket2::{Domain, SockAddr, Socket, Type};

use super::{Answer, Command, Decoder, FrameError, frame};

/// How long a master may leave a connection in its accept queue when that is full.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a command got no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// There is no such socket, or nobody listens on it.
    #[error("no server is running at {}", path.display())]
    NotRunning {
        /// Where one was looked for.
        path: PathBuf,
    },
    /// The socket cannot be used.
    #[error("cannot connect to {}", path.display())]
    Connect {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Somebody else listens where our server should: it must not see our commands.
    #[error("{} is held by user {uid}, neither you nor root", path.display())]
    Foreign {
        /// Where.
        path: PathBuf,
        /// Who.
        uid: u32,
    },
    /// It was silent for too long.
    #[error("the server (pid {pid}) did not answer in time")]
    TimedOut {
        /// The master.
        pid: i32,
    },
    /// It went away.
    #[error("the server (pid {pid}) ended before it answered")]
    Ended {
        /// The master.
        pid: i32,
    },
    /// The conversation failed otherwise.
    #[error("cannot talk to the server (pid {pid})")]
    Talk {
        /// The master.
        pid: i32,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The command or the answer cannot be written or read.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// Asks the master at `path`, and waits for the answer, for ever when there is no limit.
///
/// # Errors
/// See [`CallError`].
pub(crate) fn call(
    path: &Path,
    command: &Command,
    limit: Option<Duration>,
) -> Result<Answer, CallError> {
    Connection::open(path)?.call(command, limit)
}

/// A connection to a live master.
#[derive(Debug)]
pub(crate) struct Connection {
    /// The conversation.
    stream: UnixStream,
    /// The master, as the kernel knows it.
    pid: i32,
}

impl Connection {
    /// Connects, and looks who is there.
    ///
    /// # Errors
    /// `NotRunning`, `Connect` and `Foreign`.
    pub(crate) fn open(path: &Path) -> Result<Self, CallError> {
        let stream = connect(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => CallError::NotRunning {
                path: path.to_owned(),
            },
            _ => CallError::Connect {
                path: path.to_owned(),
                source,
            },
        })?;
        let holder = getsockopt(&stream, PeerCredentials).map_err(|error| CallError::Connect {
            path: path.to_owned(),
            source: error.into(),
        })?;
        let (own, uid) = (Uid::effective(), holder.uid());
        if !own.is_root() && uid != 0 && uid != own.as_raw() {
            return Err(CallError::Foreign {
                path: path.to_owned(),
                uid,
            });
        }
        Ok(Self {
            stream,
            pid: holder.pid(),
        })
    }

    /// The process that listens at the other end; 0 when it is in a process namespace that cannot
    /// be seen from here.
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// `TimedOut`, `Ended`, `Talk` and `Frame`.
    pub(crate) fn call(
        &mut self,
        command: &Command,
        limit: Option<Duration>,
    ) -> Result<Answer, CallError> {
        // A limit too far away to be a point in time is no limit.
        let until = limit.and_then(|limit| Instant::now().checked_add(limit));
        let bytes = frame::encode(command)?;
        self.stream
            .write_all(&bytes)
            .map_err(|error| self.broken(error))?;
        let mut decoder = Decoder::default();
        let mut buffer = [0; 16 * 1024];
        loop {
            if let Some(answer) = decoder.next()? {
                return Ok(answer);
            }
            self.limit_read(until)?;
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(CallError::Ended { pid: self.pid }),
                Ok(length) => decoder.push(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.broken(error)),
            }
        }
    }

    fn limit_read(&self, until: Option<Instant>) -> Result<(), CallError> {
        let rest = until.map(|until| until.saturating_duration_since(Instant::now()));
        if rest == Some(Duration::ZERO) {
            return Err(CallError::TimedOut { pid: self.pid });
        }
        self.stream
            .set_read_timeout(rest)
            .map_err(|error| self.broken(error))
    }

    fn broken(&self, source: io::Error) -> CallError {
        let pid = self.pid;
        match source.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => CallError::TimedOut { pid },
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => CallError::Ended { pid },
            _ => CallError::Talk { pid, source },
        }
    }
}

/// The write timeout also bounds `connect(2)`, which waits while the accept queue is full.
fn connect(path: &Path) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.cloexec(), None)?;
    socket.set_write_timeout(Some(CONNECT_TIMEOUT))?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(UnixStream::from(OwnedFd::from(socket)))
}
