//! An app as a site: whatever body it answers with becomes ours.

use std::any::{Any, TypeId};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http::{Request, Response};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use pin_project_lite::pin_project;

use super::{Body, BoxError, PeerAddr};

/// An app that answers with bodies of its own. It is inside [`Contain`](super::Contain), so a body
/// that panics when it is asked is an app that panics.
#[derive(Debug, Clone)]
pub(crate) struct App<A> {
    app: A,
}

impl<A> App<A> {
    pub(crate) fn new(app: A) -> Self {
        Self { app }
    }
}

impl<A, B> tower::Service<Request<Body>> for App<A>
where
    A: tower::Service<Request<Body>, Response = Response<B>, Error: Into<BoxError>> + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Answer<A::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.app.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        if has_extractors::<A>()
            && let Some(peer) = PeerAddr::of(&request)
        {
            request.extensions_mut().insert(peer);
        }
        Answer {
            answer: self.app.call(request),
        }
    }
}

/// Whether the app looks into the extensions: axum's extractors find everything there.
fn has_extractors<A: 'static>() -> bool {
    #[cfg(feature = "axum")]
    return TypeId::of::<A>() == TypeId::of::<axum::Router>();
    #[cfg(not(feature = "axum"))]
    return false;
}

pin_project! {
    /// The answer of an [`App`].
    pub(crate) struct Answer<F> {
        #[pin]
        answer: F,
    }
}

impl<F> fmt::Debug for Answer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer")
    }
}

impl<F, B, E> Future for Answer<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    E: Into<BoxError>,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Output = Result<Response<Body>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let response = ready!(self.project().answer.poll(cx)).map_err(Into::into)?;
        let mut ours = Some(response);
        if let Some(same) = (&mut ours as &mut dyn Any).downcast_mut::<Option<Response<Body>>>() {
            return Poll::Ready(same.take().ok_or_else(|| "a response that is gone".into()));
        }
        let Some(response) = ours else {
            return Poll::Ready(Err("a response that is gone".into()));
        };
        let (head, body) = response.into_parts();
        let body = convert(body, cx)?;
        Poll::Ready(Ok(Response::from_parts(head, body)))
    }
}

/// Makes a body ours. One that knows its size and has all of it at hand becomes bytes; then the
/// layers know the size, and nothing is kept in a box.
fn convert<B>(body: B, cx: &mut Context<'_>) -> Result<Body, BoxError>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let size = match body.size_hint().exact() {
        Some(0) if body.is_end_stream() => return Ok(Body::empty()),
        Some(size) if !body.is_end_stream() => size,
        _ => return Ok(Body::new(body)),
    };
    let mut body = body.map_err(Into::into).boxed_unsync();
    let first = match Pin::new(&mut body).poll_frame(cx) {
        Poll::Ready(Some(first)) => first?,
        Poll::Ready(None) => return Ok(Body::empty()),
        Poll::Pending => return Ok(Body::boxed(body)),
    };
    let is_all = first
        .data_ref()
        .is_some_and(|data| data.remaining() as u64 == size);
    if is_all && body.is_end_stream() {
        return Ok(first.into_data().map_or_else(|_| Body::empty(), Body::from));
    }
    // Trailers may follow, or more data.
    Ok(Body::new(Begun {
        first: Some(first),
        rest: body,
    }))
}

/// A body whose first frame was taken already.
struct Begun {
    first: Option<Frame<Bytes>>,
    rest: UnsyncBoxBody<Bytes, BoxError>,
}

impl http_body::Body for Begun {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let body = self.get_mut();
        match body.first.take() {
            Some(first) => Poll::Ready(Some(Ok(first))),
            None => Pin::new(&mut body.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let data = self.first.as_ref().and_then(Frame::data_ref);
        let begun = data.map_or(0, |data| data.remaining() as u64);
        let rest = self.rest.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(begun + rest.lower());
        if let Some(upper) = rest.upper() {
            hint.set_upper(begun + upper);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::task::Waker;

    use futures_util::FutureExt;
    use http_body_util::{Full, StreamBody};

    use super::*;

    /// A body of exactly known size in given frames; none is one that is not there yet.
    struct Sized(VecDeque<Option<Frame<Bytes>>>);

    impl http_body::Body for Sized {
        type Data = Bytes;
        type Error = BoxError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            match self.0.pop_front() {
                Some(None) => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                frame => Poll::Ready(frame.flatten().map(Ok)),
            }
        }

        fn size_hint(&self) -> SizeHint {
            let sizes = self.0.iter().flatten().filter_map(Frame::data_ref);
            SizeHint::with_exact(sizes.map(|data| data.len() as u64).sum())
        }

        fn is_end_stream(&self) -> bool {
            self.0.is_empty()
        }
    }

    fn ours<B>(body: B) -> Body
    where
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        convert(body, &mut Context::from_waker(Waker::noop())).unwrap()
    }

    fn data(text: &'static str) -> Option<Frame<Bytes>> {
        Some(Frame::data(Bytes::from_static(text.as_bytes())))
    }

    fn shape(body: &Body) -> String {
        format!("{body:?}")
    }

    #[test]
    fn what_is_there_as_a_whole_is_taken_out_of_its_box() {
        assert_eq!(shape(&ours(Full::from("hello"))), "Body(5 bytes)");
        assert_eq!(shape(&ours(Full::from(""))), "Body(empty)");
        assert_eq!(shape(&ours(Sized([data("abc")].into()))), "Body(3 bytes)");
        assert_eq!(shape(&ours(Sized([].into()))), "Body(empty)");
        #[cfg(feature = "axum")]
        assert_eq!(shape(&ours(axum::body::Body::from("hi"))), "Body(2 bytes)");
    }

    #[test]
    fn everything_else_arrives_as_it_was() {
        let mut trailers = http::HeaderMap::new();
        trailers.insert("x-end", http::HeaderValue::from_static("1"));
        for (frames, text) in [
            (vec![data("ab"), data("cd")], "abcd"),
            (vec![None, data("abcd")], "abcd"),
            (vec![data("ab"), None, data("cd")], "abcd"),
            (vec![data("ab"), Some(Frame::trailers(trailers))], "ab"),
        ] {
            let has_trailers = frames.iter().flatten().any(Frame::is_trailers);
            let body = ours(Sized(frames.into()));
            assert_eq!(body.size_hint().exact(), Some(text.len() as u64));
            let mut read = Box::pin(body.collect());
            let whole = std::iter::from_fn(|| Some((&mut read).now_or_never()));
            let whole = whole.flatten().next().unwrap().unwrap();
            assert_eq!(whole.trailers().is_some(), has_trailers);
            assert_eq!(whole.to_bytes(), text);
        }
    }

    #[test]
    fn a_stream_is_not_touched_before_it_is_sent() {
        let frames =
            futures_util::stream::poll_fn(|_| -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
                assert!(std::hint::black_box(false), "it was asked too early");
                Poll::Ready(Some(Ok(Frame::data(Bytes::new()))))
            });
        assert_eq!(shape(&ours(StreamBody::new(frames))), "Body(stream)");
    }

    #[test]
    fn a_body_that_fails_at_once_is_an_app_that_fails() {
        struct Broken;
        impl http_body::Body for Broken {
            type Data = Bytes;
            type Error = BoxError;
            fn poll_frame(
                self: Pin<&mut Self>,
                _: &mut Context<'_>,
            ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
                Poll::Ready(Some(Err("broken".into())))
            }
            fn size_hint(&self) -> SizeHint {
                SizeHint::with_exact(3)
            }
        }
        let error = convert(Broken, &mut Context::from_waker(Waker::noop())).unwrap_err();
        assert_eq!(error.to_string(), "broken");
    }
}
