//! The service as hyper sees it: tells the client's record when a request begins, when its answer
//! begins, and when the answer's body has ended.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper::{Request, Response};
use pin_project_lite::pin_project;

use super::client::Client;

/// What can be served: a name for the bounds.
pub(super) trait Serves:
    Service<Request<Incoming>, Response = Response<Self::Answer>, Error = Infallible> + 'static
{
    /// The body of its answers.
    type Answer: Body<Error: Into<Box<dyn Error + Send + Sync>>> + 'static;
}

impl<S, B> Serves for S
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + 'static,
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
{
    type Answer = B;
}

/// The connection's service, observed.
pub(super) struct Observed<S> {
    service: S,
    client: Rc<Client>,
}

impl<S> Observed<S> {
    pub(super) fn new(service: S, client: Rc<Client>) -> Self {
        Self { service, client }
    }
}

impl<S: Serves> Service<Request<Incoming>> for Observed<S> {
    type Response = Response<ObservedBody<S::Answer>>;
    type Error = Infallible;
    type Future = ObservedFuture<S::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.client.request_begins(!request.body().is_end_stream());
        let future = self.service.call(request);
        ObservedFuture {
            future,
            client: Rc::clone(&self.client),
        }
    }
}

pin_project! {
    /// An answer in the making.
    pub(super) struct ObservedFuture<F> {
        #[pin]
        future: F,
        client: Rc<Client>,
    }
}

impl<F, B> Future for ObservedFuture<F>
where
    F: Future<Output = Result<Response<B>, Infallible>>,
{
    type Output = Result<Response<ObservedBody<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(response) = ready!(this.future.poll(cx));
        this.client.answer_begins();
        let end = AnswerEnd(Rc::clone(this.client));
        Poll::Ready(Ok(response.map(|body| ObservedBody { body, _end: end })))
    }
}

/// hyper drops a body when it has taken all of it.
struct AnswerEnd(Rc<Client>);

impl Drop for AnswerEnd {
    fn drop(&mut self) {
        self.0.answer_ends();
    }
}

pin_project! {
    /// An answer's body, which tells when hyper is done with it.
    pub(super) struct ObservedBody<B> {
        #[pin]
        body: B,
        _end: AnswerEnd,
    }
}

impl<B: Body> Body for ObservedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.project().body.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
