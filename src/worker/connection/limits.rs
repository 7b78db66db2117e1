//! What one listen address grants its clients.

use hyper::server::conn::http1::Builder;

use crate::config::Listen;
use crate::sys::clock::millis;

/// The number of header fields that hyper keeps on its stack; any other costs an allocation.
const HYPERS_MAX_HEADERS: usize = 100;
/// The most that hyper may keep of what was read, or of what waits to be written.
const MAX_BUFFER: usize = 128 * 1024;
/// How long a client that is not read any more may take to notice its answer.
const LINGER_MS: u64 = 2_000;
/// How long a connection idles until it is parked: coming back costs its client some
/// microseconds, and busy clients pause for less.
const PARK_AFTER_MS: u64 = 5_000;
/// How long a client that has ended its own side waits for the next byte of an answer: most such
/// clients have left, but some only said that they will not ask again.
const HALF_CLOSED_MS: u64 = 5_000;

/// What one listen address grants its clients; shared by all its connections.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How long a request's head may take, and a new client's first byte.
    pub(crate) client_header_timeout_ms: u64,
    /// How long a connection may idle between two requests; 0 allows one request only.
    pub(crate) keepalive_timeout_ms: u64,
    /// How long a client may pause while it sends a body.
    pub(crate) client_body_timeout_ms: u64,
    /// How long a client may pause while it receives a response.
    pub(crate) send_timeout_ms: u64,
    /// How long an answered client that still sends may take to notice.
    pub(crate) linger_ms: u64,
    /// How long an answer to a client that has ended its side may stand still.
    pub(crate) half_closed_ms: u64,
    /// How long a connection idles until it is parked.
    pub(crate) park_after_ms: u64,
    /// The largest request head, in bytes.
    pub(crate) max_header_size: usize,
    /// The most header fields in a request.
    pub(crate) max_headers: usize,
    /// The largest request body, in bytes; 0 is no limit. The stack enforces it.
    pub(crate) max_body: u64,
}

impl Limits {
    /// How often a sweep must look so that no limit is passed by much, in milliseconds.
    pub(super) fn sweep_interval_ms(&self) -> u64 {
        [
            self.client_header_timeout_ms,
            self.keepalive_timeout_ms,
            self.client_body_timeout_ms,
            self.send_timeout_ms,
            self.half_closed_ms,
            self.park_after_ms,
        ]
        .into_iter()
        .filter(|limit| *limit > 0)
        .map(interval_ms)
        .min()
        .unwrap_or_default()
    }

    /// From when on a head is late. A look before the next look: the answer comes within the
    /// timeout, not after it.
    pub(super) fn head_due_ms(&self) -> u64 {
        let timeout = self.client_header_timeout_ms;
        timeout - interval_ms(timeout).min(timeout / 4)
    }

    /// hyper, told those limits that it keeps itself. It gets no timer: the sweep has the time.
    pub(super) fn builder(&self) -> Builder {
        let mut builder = Builder::new();
        builder
            .header_read_timeout(None)
            .half_close(true)
            .keep_alive(self.keepalive_timeout_ms > 0)
            .max_header_size(self.max_header_size)
            .max_buf_size(self.max_header_size.max(MAX_BUFFER));
        if self.max_headers != HYPERS_MAX_HEADERS {
            builder.max_headers(self.max_headers);
        }
        builder
    }
}

impl From<&Listen> for Limits {
    fn from(listen: &Listen) -> Self {
        Self {
            client_header_timeout_ms: millis(listen.client_header_timeout),
            keepalive_timeout_ms: millis(listen.keepalive_timeout),
            client_body_timeout_ms: millis(listen.client_body_timeout),
            send_timeout_ms: millis(listen.send_timeout),
            linger_ms: LINGER_MS,
            half_closed_ms: HALF_CLOSED_MS,
            park_after_ms: PARK_AFTER_MS,
            max_header_size: usize::try_from(listen.max_header_size).unwrap_or(usize::MAX),
            max_headers: usize::from(listen.max_headers),
            max_body: listen.client_max_body_size,
        }
    }
}

/// How often to look so that a limit of `limit_ms` is not passed by much, and the CPU not heated.
pub(super) fn interval_ms(limit_ms: u64) -> u64 {
    (limit_ms / 32).clamp(50, 500)
}
