//! A client that sends bytes and reads answers; it knows just enough HTTP to find their end.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// How long a connect, a read or a write may take: only so that nothing hangs.
pub(crate) const HANG: Duration = Duration::from_secs(45);

/// Why there is no whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The connection could not be made.
    Connect(String),
    /// The connection ended before a byte of an answer.
    NoAnswer(String),
    /// It ended in the middle of one.
    Truncated(String),
    /// Nothing came for [`HANG`].
    TimedOut,
    /// It is no HTTP.
    Malformed(String),
}

/// A whole answer.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    /// The number in the status line.
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// Without chunk marks.
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The value of a header (name in lower case).
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether the server said that it closes the connection after this.
    pub(crate) fn closes(&self) -> bool {
        self.header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body of the fixture's `/who`.
    pub(crate) fn who(&self) -> Who {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in the answer of /who: {}", self.text()))
    }
}

/// What the fixture says about the worker that answered.
#[derive(Debug, Clone, serde::Deserialize)]
#[allow(dead_code, reason = "all of it is said; each test reads a part")]
pub(crate) struct Who {
    /// Its slot.
    pub(crate) slot: u16,
    /// Its process.
    pub(crate) pid: i32,
    /// Its generation.
    pub(crate) generation: u64,
    /// The instance id of the server.
    pub(crate) instance: String,
}

/// A connection to the server.
#[derive(Debug)]
pub(crate) struct Connection<S = TcpStream> {
    /// The socket.
    stream: S,
    /// What was read and belongs to the next answer.
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub(crate) fn try_open(address: SocketAddr) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::Connect(error.to_string());
        let stream = TcpStream::connect_timeout(&address, HANG).map_err(failed)?;
        Self::over(stream).map_err(failed)
    }

    fn over(stream: TcpStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(HANG))?;
        stream.set_write_timeout(Some(HANG))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::new(),
        })
    }

    /// Connects from an address of this machine, or fails the test.
    pub(crate) fn open_from(from: SocketAddr, to: SocketAddr) -> Self {
        let connect = || {
            let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
            socket.bind(&from.into())?;
            socket.connect(&to.into())?;
            Self::over(socket.into())
        };
        connect().unwrap_or_else(|error| panic!("no connection from {from}: {error}"))
    }

    /// Connects, or fails the test.
    pub(crate) fn open(address: SocketAddr) -> Self {
        Self::try_open(address).unwrap_or_else(|error| panic!("no connection: {error:?}"))
    }

    /// Whether the server has closed the connection, or reset it, or sent something unasked.
    pub(crate) fn is_over(&self) -> bool {
        let mut byte = [0];
        self.stream
            .set_nonblocking(true)
            .expect("the socket is open");
        let peeked = self.stream.peek(&mut byte);
        self.stream
            .set_nonblocking(false)
            .expect("the socket is open");
        !matches!(peeked, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    /// Says that nothing more will be sent, if there still is somebody to say it to.
    pub(crate) fn finish_sending(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// The address of this end.
    pub(crate) fn local_address(&self) -> SocketAddr {
        self.stream
            .local_addr()
            .expect("a connected socket has one")
    }

    /// Reads with another limit than [`HANG`], where silence is what is expected.
    pub(crate) fn set_patience(&self, time: Duration) {
        self.stream
            .set_read_timeout(Some(time))
            .expect("the socket is open");
    }
}

impl Connection<UnixStream> {
    /// Connects to a socket file, or fails the test.
    pub(crate) fn open_unix(path: &Path) -> Self {
        let stream = UnixStream::connect(path)
            .unwrap_or_else(|error| panic!("no connection to {}: {error}", path.display()));
        stream
            .set_read_timeout(Some(HANG))
            .expect("the socket is open");
        Self {
            stream,
            buffer: Vec::new(),
        }
    }
}

impl<S: Read + Write> Connection<S> {
    /// Sends bytes as they are.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Sends bytes as they are, or fails the test.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes)
            .unwrap_or_else(|error| panic!("cannot send: {error}"));
    }

    /// Sends a request and reads the answer.
    pub(crate) fn try_exchange(&mut self, request: &[u8]) -> Result<Response, Failure> {
        // An answer may come before the whole request is taken: look for one in any case.
        let sent = self.try_send(request);
        self.try_response(false)
            .map_err(|failure| match (failure, sent) {
                (Failure::NoAnswer(why), Err(error)) => {
                    Failure::NoAnswer(format!("{error}; {why}"))
                }
                (failure, _) => failure,
            })
    }

    /// GET, or fail the test.
    pub(crate) fn get(&mut self, path: &str) -> Response {
        self.send(get(path));
        self.response()
    }

    /// GET with further header lines (each ending in CRLF), or fail the test.
    pub(crate) fn get_with(&mut self, path: &str, headers: &str) -> Response {
        self.send(format!(
            "GET {path} HTTP/1.1\r\nHost: test\r\n{headers}\r\n"
        ));
        self.response()
    }

    /// The next answer, or fail the test.
    pub(crate) fn response(&mut self) -> Response {
        self.try_response(false)
            .unwrap_or_else(|failure| panic!("no answer: {failure:?}"))
    }

    /// The next answer, which has no body because the request was HEAD.
    pub(crate) fn response_to_head(&mut self) -> Response {
        self.try_response(true)
            .unwrap_or_else(|failure| panic!("no answer: {failure:?}"))
    }

    /// The next answer.
    pub(crate) fn try_response(&mut self, to_head: bool) -> Result<Response, Failure> {
        let mut head = self.head()?;
        while head.starts_with("HTTP/1.1 1") {
            head = self.head()?; // an interim answer
        }
        let (status, headers) =
            parse_head(&head).ok_or_else(|| Failure::Malformed(head.clone()))?;
        let mut response = Response {
            status,
            headers,
            body: Vec::new(),
        };
        if !to_head && status != 204 && status != 304 {
            response.body = self.body(&response)?;
        }
        Ok(response)
    }

    /// The head of the next answer; its body follows in [`chunk`](Self::chunk)s.
    pub(crate) fn response_head(&mut self) -> Response {
        let head = self
            .head()
            .unwrap_or_else(|failure| panic!("no answer: {failure:?}"));
        let (status, headers) = parse_head(&head).unwrap_or_else(|| panic!("not a head: {head:?}"));
        Response {
            status,
            headers,
            body: Vec::new(),
        }
    }

    /// The next chunk of a chunked body; empty at its end.
    pub(crate) fn chunk(&mut self) -> Result<Vec<u8>, Failure> {
        let line = self.line()?;
        let size = usize::from_str_radix(line.trim(), 16);
        let size = size.map_err(|error| Failure::Malformed(format!("{error} in {line:?}")))?;
        let chunk = self.take(size)?;
        self.take(2)?;
        Ok(chunk)
    }

    /// What comes until the server ends the connection; an error if it does so by a reset.
    pub(crate) fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = std::mem::take(&mut self.buffer);
        self.stream.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Waits for the end of the connection, which must be a plain one, without a byte.
    pub(crate) fn assert_closed(&mut self) {
        match self.read_to_end() {
            Ok(bytes) if bytes.is_empty() => {}
            Ok(bytes) => panic!("unexpected bytes: {:?}", String::from_utf8_lossy(&bytes)),
            Err(error) => panic!("no plain close: {error}"),
        }
    }

    fn head(&mut self) -> Result<String, Failure> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
                return Ok(String::from_utf8_lossy(&head).into_owned());
            }
            self.more()?;
        }
    }

    fn body(&mut self, response: &Response) -> Result<Vec<u8>, Failure> {
        if response.header("transfer-encoding") == Some("chunked") {
            return self.chunks();
        }
        match response.header("content-length").map(str::parse) {
            Some(Ok(length)) => self.take(length),
            Some(Err(_)) => Err(Failure::Malformed("content-length".into())),
            None => self
                .read_to_end()
                .map_err(|error| Failure::Truncated(error.to_string())),
        }
    }

    fn chunks(&mut self) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        loop {
            let chunk = self.chunk()?;
            if chunk.is_empty() {
                return Ok(body);
            }
            body.extend(chunk);
        }
    }

    /// The next line, with its end.
    pub(crate) fn line(&mut self) -> Result<String, Failure> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n") {
                let line = self.take(end + 2)?;
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            self.more_of_it()?;
        }
    }

    fn take(&mut self, length: usize) -> Result<Vec<u8>, Failure> {
        while self.buffer.len() < length {
            self.more_of_it()?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    /// Reads on; the end is a truncation, since the head of this answer has been read.
    fn more_of_it(&mut self) -> Result<(), Failure> {
        self.more().map_err(|failure| match failure {
            Failure::NoAnswer(why) => Failure::Truncated(why),
            failure => failure,
        })
    }

    fn more(&mut self) -> Result<(), Failure> {
        let mut bytes = [0; 16 * 1024];
        let over = |why: String, begun: bool| match begun {
            true => Failure::Truncated(why),
            false => Failure::NoAnswer(why),
        };
        match self.stream.read(&mut bytes) {
            Ok(0) => Err(over("end of stream".into(), !self.buffer.is_empty())),
            Ok(count) => {
                self.buffer.extend_from_slice(&bytes[..count]);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Err(Failure::TimedOut)
            }
            Err(error) => Err(over(error.to_string(), !self.buffer.is_empty())),
        }
    }
}

/// A GET request.
pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n")
}

/// A POST request.
pub(crate) fn post(path: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// One GET on a connection of its own, or fail the test.
pub(crate) fn get_once(address: SocketAddr, path: &str) -> Response {
    Connection::open(address).get_with(path, "Connection: close\r\n")
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn parse_head(head: &str) -> Option<(u16, Vec<(String, String)>)> {
    let mut lines = head.trim_end().split("\r\n");
    let status = lines
        .next()?
        .strip_prefix("HTTP/1.")?
        .split(' ')
        .nth(1)?
        .parse()
        .ok()?;
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    Some((status, lines.map(header).collect::<Option<_>>()?))
}
