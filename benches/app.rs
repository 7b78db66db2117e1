//! The app of the benchmarks: what a small API does, with every default layer of the server around
//! it. An example, so that it never ships; `benches/versus` starts it.
//!
//! `BENCH_JSON` names a file whose bytes are the answer to `/20k.json`. `/session/write` counts in
//! the visitor's session, `/session/read` says how far.

use std::process::ExitCode;

use appserver::{Body, BoxError, Server, Session, WorkerContext};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

fn main() -> ExitCode {
    Server::from_args()
        .app(async |_: WorkerContext| -> Result<_, BoxError> {
            let json = match std::env::var_os("BENCH_JSON") {
                Some(path) => Bytes::from(std::fs::read(path)?),
                None => Bytes::new(),
            };
            Ok(tower::service_fn(move |request| {
                answer(request, json.clone())
            }))
        })
        .run()
}

async fn answer(request: Request<Body>, json: Bytes) -> Result<Response<Body>, BoxError> {
    Ok(match request.uri().path() {
        "/hello" => of(TEXT, Body::from("Hello, world!")),
        "/20k.json" => of(JSON, Body::from(json)),
        "/session/read" => {
            let views = Session::of(&request).await?.get::<u64>("views")?;
            of(TEXT, Body::from(views.unwrap_or(0).to_string()))
        }
        "/session/write" => {
            let session = Session::of(&request).await?;
            let views = session.get::<u64>("views")?.unwrap_or(0);
            session.insert("views", views + 1)?;
            of(TEXT, Body::from("saved"))
        }
        "/post" => {
            let body = request.into_body().collect().await?.to_bytes();
            of(TEXT, Body::from(format!("{}\n", body.len())))
        }
        _ => {
            let mut response = of(TEXT, Body::from("not found\n"));
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
    })
}

fn of(kind: HeaderValue, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
