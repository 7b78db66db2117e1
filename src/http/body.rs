//! The one type of body, of requests and of responses, so that any layer can be left out without
//! a cost.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;

use super::concurrency::Place;
use super::files::FileBody;
use super::{BodyWatch, PeerAddr, RequestBody};
use crate::sys::region::Watch;

/// An error of any type, as services and bodies report it.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// The body of a request or a response: nothing, bytes that are all there, or a stream of frames.
///
/// The first two cost no allocation. A stream is boxed once. The body of a request is read with
/// [`http_body_util::BodyExt`]; it fails with [`BodyTooLarge`](crate::BodyTooLarge) when there is
/// more of it than `client_max_body_size` allows, and with another error when it broke off.
///
/// ```
/// use appserver::Body;
/// use http_body::Body as _;
///
/// assert!(Body::empty().is_end_stream());
/// assert_eq!(Body::from("hello").size_hint().exact(), Some(5));
/// ```
#[derive(Default)]
pub struct Body {
    kind: Kind,
    /// What is held until the body has been sent, or is given up.
    place: Option<Place>,
    /// Who sends it, if it is that of a request.
    peer: Option<Arc<PeerAddr>>,
}

/// What a body is made of.
#[derive(Default)]
enum Kind {
    /// Nothing, or nothing any more.
    #[default]
    Empty,
    /// Bytes not yet sent; never an empty slice.
    Whole(Bytes),
    /// Whatever produces frames.
    Stream(UnsyncBoxBody<Bytes, BoxError>),
    /// What a client sends, as it arrives.
    Request(Box<RequestBody>),
    /// A part of a file, which is never in memory as a whole.
    File(Box<FileBody>),
}

impl Body {
    /// A body without content.
    #[must_use]
    pub const fn empty() -> Self {
        Self::of(Kind::Empty)
    }

    const fn of(kind: Kind) -> Self {
        Self {
            kind,
            place: None,
            peer: None,
        }
    }

    /// The same body, which keeps this place until it is dropped.
    pub(super) fn keeping(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// The body of a request that came by a connection from `peer`; `watch` was reset for it.
    pub(crate) fn incoming(
        incoming: Incoming,
        limit: Option<u64>,
        watch: &BodyWatch,
        peer: &Arc<PeerAddr>,
    ) -> Self {
        let kind = if incoming.is_end_stream() {
            Kind::Empty
        } else {
            Kind::Request(Box::new(RequestBody::new(incoming, limit, watch.clone())))
        };
        Self {
            peer: Some(Arc::clone(peer)),
            ..Self::of(kind)
        }
    }

    /// Who sends it, if it is that of a request.
    pub(super) fn peer(&self) -> Option<PeerAddr> {
        self.peer.as_deref().copied()
    }

    /// The body of a request, if this is one that has not been read to its end.
    pub(crate) fn as_request(&self) -> Option<&RequestBody> {
        match &self.kind {
            Kind::Request(request) => Some(request),
            Kind::Empty | Kind::Whole(_) | Kind::Stream(_) | Kind::File(_) => None,
        }
    }

    /// Lets a part of a file be sent by the kernel, without being read. For the outermost layer
    /// of a connection whose write path knows [regions](crate::sys::region), and for nobody else:
    /// a look at the frames of the body that this returns ends the process.
    pub(crate) fn send_files_unread(mut self) -> Self {
        if let Kind::File(file) = &mut self.kind {
            file.send_unread();
        }
        self
    }

    /// Whether the bytes are still to be produced, by something that may fail.
    pub(crate) fn is_stream(&self) -> bool {
        matches!(self.kind, Kind::Stream(_))
    }

    /// Has somebody told when this is a part of a file and breaks off; `watch` makes them of the
    /// place in the file where it begins. False when it is no part of a file.
    pub(crate) fn watch_file(&mut self, watch: impl FnOnce(u64) -> Arc<dyn Watch>) -> bool {
        match &mut self.kind {
            Kind::File(file) => {
                file.watch(watch);
                true
            }
            Kind::Empty | Kind::Whole(_) | Kind::Stream(_) | Kind::Request(_) => false,
        }
    }

    /// All of the body, if it is there already; the body is empty then. `None` is a body that
    /// must be read.
    pub(crate) fn take_whole(&mut self) -> Option<Bytes> {
        match &mut self.kind {
            Kind::Empty => Some(Bytes::new()),
            Kind::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                self.kind = Kind::Empty;
                Some(bytes)
            }
            Kind::Stream(_) | Kind::Request(_) | Kind::File(_) => None,
        }
    }

    /// A body that produces its frames as it is sent. A [`Body`] is returned as it is.
    pub fn new<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let mut body = Some(body);
        if let Some(same) = (&mut body as &mut dyn Any).downcast_mut::<Option<Self>>() {
            return same.take().unwrap_or_default();
        }
        body.map_or_else(Self::empty, |body| {
            Self::of(Kind::Stream(body.map_err(Into::into).boxed_unsync()))
        })
    }

    /// A stream that is in its box already.
    pub(crate) fn boxed(body: UnsyncBoxBody<Bytes, BoxError>) -> Self {
        Self::of(Kind::Stream(body))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let kind = &mut self.get_mut().kind;
        match kind {
            Kind::Empty => Poll::Ready(None),
            Kind::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                *kind = Kind::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Kind::Stream(stream) => Pin::new(stream).poll_frame(cx),
            Kind::Request(request) => Pin::new(&mut **request).poll_frame(cx),
            Kind::File(file) => Pin::new(&mut **file).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Empty => true,
            Kind::Whole(_) => false,
            Kind::Stream(stream) => stream.is_end_stream(),
            Kind::Request(request) => request.is_end_stream(),
            Kind::File(file) => file.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Stream(stream) => stream.size_hint(),
            Kind::Request(request) => request.size_hint(),
            Kind::File(file) => file.size_hint(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Empty => f.write_str("Body(empty)"),
            Kind::Whole(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Kind::Stream(_) => f.write_str("Body(stream)"),
            Kind::Request(request) => request.fmt(f),
            Kind::File(file) => file.fmt(f),
        }
    }
}

impl From<RequestBody> for Body {
    fn from(request: RequestBody) -> Self {
        Self::of(Kind::Request(Box::new(request)))
    }
}

impl From<FileBody> for Body {
    fn from(file: FileBody) -> Self {
        let kind = if file.is_end_stream() {
            Kind::Empty
        } else {
            Kind::File(Box::new(file))
        };
        Self::of(kind)
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::of(if bytes.is_empty() {
            Kind::Empty
        } else {
            Kind::Whole(bytes)
        })
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body::Body as _;
    use http_body_util::{BodyExt, Full, StreamBody};

    use super::*;

    fn read(body: Body) -> Bytes {
        let collected = futures_util::FutureExt::now_or_never(body.collect());
        collected.expect("never waits").unwrap().to_bytes()
    }

    #[test]
    fn a_body_says_exactly_how_long_it_is() {
        for (body, text) in [
            (Body::empty(), ""),
            (Body::from(""), ""),
            (Body::from("static"), "static"),
            (Body::from(String::from("string")), "string"),
            (Body::from(b"vector".to_vec()), "vector"),
            (Body::new(Full::from("boxed")), "boxed"),
        ] {
            assert_eq!(body.size_hint().exact(), Some(text.len() as u64));
            assert_eq!(body.is_end_stream(), text.is_empty());
            assert_eq!(read(body), text);
        }
    }

    #[test]
    fn whole_bytes_are_one_frame_and_then_the_end() {
        let mut body = Body::from("once");
        let first = futures_util::FutureExt::now_or_never(body.frame()).flatten();
        assert_eq!(first.unwrap().unwrap().into_data().unwrap(), "once");
        assert!(body.is_end_stream());
        assert_eq!(body.size_hint().exact(), Some(0));
    }

    #[test]
    fn a_body_is_not_boxed_twice() {
        let body = Body::new(Body::new(Body::from("inner")));
        assert!(matches!(body.kind, Kind::Whole(_)));
    }

    #[test]
    fn a_stream_of_unknown_length_says_so() {
        let frames = [Ok::<_, Infallible>(Frame::data(Bytes::from("a")))];
        let body = Body::new(StreamBody::new(futures_util::stream::iter(frames)));
        assert_eq!(body.size_hint().exact(), None);
        assert_eq!(read(body), "a");
    }

    #[test]
    fn bodies_can_be_sent_to_other_threads() {
        fn is_send<T: Send>() {}
        is_send::<Body>();
    }
}
