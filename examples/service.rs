//! The smallest app: a tower service that answers `Hello, world!`. It takes every verb and flag of
//! `appserver`:
//!
//! ```text
//! cargo run --release --example service -- --workers max
//! ```

use std::convert::Infallible;
use std::process::ExitCode;

use appserver::{Body, Server};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response};

fn main() -> ExitCode {
    Server::from_args()
        .app(async |_worker| Ok(tower::service_fn(hello)))
        .run()
}

async fn hello(_: Request<Body>) -> Result<Response<Body>, Infallible> {
    let mut response = Response::new(Body::from("Hello, world!"));
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, text);
    Ok(response)
}
