//! hyper with nothing around it: no log, no limits, no processes to watch over. What is left of
//! the distance to it is what the server itself costs. `benches/versus` starts it with a port, a
//! number of threads, and a folder whose small files it answers with, from memory.
//!
//! Each thread has its own runtime and its own listening socket (`SO_REUSEPORT`), as the workers of
//! a prefork server have.

#![allow(
    clippy::disallowed_methods,
    reason = "a peer of the benchmarks; it forks nothing"
)]

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::{fs, io};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use socket2::{Domain, Protocol, Socket, Type};

/// Larger files are not kept in memory, nor served.
const LARGEST: u64 = 1 << 20;

type Files = HashMap<String, Bytes>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [port, threads, folder] = words.as_slice() else {
        eprintln!("usage: bare-hyper PORT THREADS FOLDER");
        return ExitCode::from(2);
    };
    match run(port, threads, Path::new(folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bare-hyper: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(port: &str, threads: &str, folder: &Path) -> io::Result<()> {
    let port: u16 = port.parse().map_err(io::Error::other)?;
    let threads: usize = threads.parse().map_err(io::Error::other)?;
    let files = Arc::new(read(folder)?);
    let mut running = Vec::new();
    for _ in 0..threads {
        let (listener, files) = (listen(port)?, Arc::clone(&files));
        running.push(std::thread::spawn(move || serve(listener, &files)));
    }
    for thread in running {
        match thread.join() {
            Ok(ended) => ended?,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
    Ok(())
}

/// The small files of a folder by their paths, and hello.
fn read(folder: &Path) -> io::Result<Files> {
    let mut files = Files::from([("/hello".to_owned(), Bytes::from("Hello, world!"))]);
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let about = entry.metadata()?;
        if about.is_file() && about.len() <= LARGEST {
            let name = format!("/{}", entry.file_name().display());
            files.insert(name, Bytes::from(fs::read(entry.path())?));
        }
    }
    Ok(files)
}

fn listen(port: u16) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], port)).into())?;
    socket.listen(4096)?;
    Ok(socket.into())
}

/// One thread's share.
fn serve(listener: std::net::TcpListener, files: &Arc<Files>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                continue;
            };
            let _ = stream.set_nodelay(true);
            let files = Arc::clone(files);
            tokio::task::spawn_local(async move {
                let service = service_fn(move |request| answer(request, Arc::clone(&files)));
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    })
}

async fn answer(
    request: Request<Incoming>,
    files: Arc<Files>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() == "/post" {
        let length = match request.into_body().collect().await {
            Ok(body) => body.to_bytes().len(),
            Err(_) => 0, // the client has left
        };
        return Ok(text(Bytes::from(format!("{length}\n"))));
    }
    let Some(body) = files.get(request.uri().path()) else {
        let mut response = text(Bytes::from("not found\n"));
        *response.status_mut() = StatusCode::NOT_FOUND;
        return Ok(response);
    };
    Ok(text(body.clone()))
}

fn text(body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
