//! A layer of one's own around a `Router`, and one of tower-http: what the server's layers do not
//! do is done as in any tower program.
//!
//! ```text
//! cargo run --release --example layer
//! curl -i -H 'Origin: https://example.com' localhost:8080/
//! ```

use std::process::ExitCode;
use std::task::{Context, Poll};
use std::time::Instant;

use appserver::Server;
use axum::http::{HeaderValue, Request, Response};
use axum::{Router, routing::get};
use futures_util::TryFutureExt;
use futures_util::future::BoxFuture;
use tower::{Layer, Service};
use tower_http::cors::CorsLayer;

fn main() -> ExitCode {
    Server::from_args()
        .app(async |_worker| {
            let site = Router::new().route("/", get("Hello, world!"));
            // The last one is the outermost.
            Ok(site.layer(CorsLayer::permissive()).layer(Timing))
        })
        .run()
}

/// Says in each response how long it took: `Server-Timing: app;dur=0.042`.
#[derive(Debug, Clone, Copy)]
struct Timing;

impl<S> Layer<S> for Timing {
    type Service = Timed<S>;

    fn layer(&self, inner: S) -> Timed<S> {
        Timed { inner }
    }
}

#[derive(Debug, Clone)]
struct Timed<S> {
    inner: S,
}

impl<S, A, B> Service<Request<A>> for Timed<S>
where
    S: Service<Request<A>, Response = Response<B>, Future: Send + 'static>,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<B>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let start = Instant::now();
        let answer = self.inner.call(request).map_ok(move |mut response| {
            let taken = start.elapsed().as_secs_f64() * 1_000.0;
            if let Ok(value) = HeaderValue::try_from(format!("app;dur={taken:.3}")) {
                response.headers_mut().insert("server-timing", value);
            }
            response
        });
        Box::pin(answer)
    }
}
