//! One worker in the test's own process: no fork, no signals, several at a time.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use appserver::{Body, BoxError, Config, Message, MessageError, Server};
use axum::body::Bytes;
use axum::extract::State;
use axum::{
    Router,
    routing::{get, post},
};
use http::{Request, Response};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[derive(Serialize, Deserialize)]
struct Double(u64);

impl Message for Double {
    const KIND: &'static str = "double";
    type Reply = u64;
}

/// The body of the answer to a GET.
async fn get_text(address: std::net::SocketAddr, path: &str) -> String {
    let mut client = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    body.to_owned()
}

fn serve_a_number(number: usize) {
    let text = Server::new(Config::new())
        .app(async move |worker| {
            let site = Router::new().route(
                "/",
                get(
                    async move |State(worker): State<appserver::WorkerContext>| {
                        format!("{number} {} {}", worker.in_flight(), worker.is_draining())
                    },
                ),
            );
            Ok(site.with_state(worker))
        })
        .serve_here(async |here| {
            assert!(here.url().starts_with("http://127.0.0.1:"));
            assert_eq!(here.addresses().len(), 1);
            get_text(here.address(), "/").await
        });
    assert_eq!(text.unwrap(), format!("{number} 1 false"));
}

#[test]
fn several_run_beside_each_other_and_one_after_the_other() {
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || (0..5).for_each(|n| serve_a_number(10 * thread + n)));
        }
    });
}

#[test]
fn an_app_and_its_futures_need_not_be_send() {
    let seen = Rc::new(Cell::new(0));
    let count = Rc::clone(&seen);
    let answer = Server::new(Config::new())
        .app(async move |_| {
            let count = Rc::clone(&count);
            Ok(tower::service_fn(move |_: Request<Body>| {
                let count = Rc::clone(&count);
                async move {
                    tokio::task::yield_now().await;
                    count.set(count.get() + 1);
                    Ok::<_, BoxError>(Response::new(Body::from(count.get().to_string())))
                }
            }))
        })
        .serve_here(async |here| get_text(here.address(), "/").await);
    assert_eq!((answer.unwrap().as_str(), seen.get()), ("1", 1));
}

#[test]
fn hooks_and_messages_work_without_a_master() {
    let log: Rc<std::cell::RefCell<Vec<&str>>> = Rc::default();
    let note = |word: &'static str| {
        let log = Rc::clone(&log);
        async move |_| log.borrow_mut().push(word)
    };
    let reply = Server::new(Config::new())
        .on_online(note("online"))
        .on_ready(note("ready"))
        .on_draining(note("draining"))
        .on_stopped(note("stopped"))
        .on_message(|_, Double(n), _| 2 * n)
        .app(async |worker| {
            let own = worker.clone();
            worker.on_message(async move |_, Double(n)| {
                2 * own
                    .request_master(&Double(n), Duration::from_secs(60))
                    .await
                    .unwrap_or(0)
            });
            Ok(Router::new())
        })
        .serve_here(async |here| {
            let (worker, limit) = (here.worker(), Duration::from_secs(60));
            let nobody = worker.request(1, &Double(1), limit).await;
            assert_eq!(nobody, Err(MessageError::NoWorker));
            worker.request(0, &Double(10), limit).await
        });
    assert_eq!(reply.unwrap(), Ok(40));
    assert_eq!(*log.borrow(), ["online", "ready", "draining", "stopped"]);
}

#[test]
fn what_goes_wrong_is_said() {
    let failed = |server: Server| server.serve_here(async |_| ()).unwrap_err().to_string();
    let wrong = failed(Server::new(
        Config::new().set("workers.instancs", 2).set("nam", "x"),
    ));
    assert_eq!(
        wrong,
        "setting `nam`: unknown key `nam`; did you mean `name`?\n\
         setting `workers.instancs`: unknown key `instancs` in [workers]; did you mean `instances`?"
    );
    let app = Server::new(Config::new()).app(async |_| {
        std::fs::read("/no/such/file")?;
        Ok(Router::new())
    });
    assert!(failed(app).contains("No such file"));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let busy = failed(Server::new(Config::new().listen(address.clone())));
    assert!(busy.contains(&address), "{busy}");
}

#[test]
fn files_and_limits_are_those_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("index.html"), "a file").unwrap();
    let config = Config::new()
        .set("root", folder.path().display().to_string())
        .set("listen.client_max_body_size", 10)
        .listen("127.0.0.1:0")
        .listen("[::1]:0");
    let socket = folder.path().join("web.sock");
    let config = config.listen(format!("unix:{}", socket.display()));
    let texts = Server::new(config).serve_here(async |here| {
        assert!(socket.exists());
        let mut texts = Vec::new();
        for address in here.addresses() {
            texts.push(get_text(*address, "/").await);
        }
        let mut client = TcpStream::connect(here.address()).await.unwrap();
        let request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n";
        client.write_all(request).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        texts.push(answer.lines().next().unwrap().to_owned());
        texts
    });
    assert_eq!(
        texts.unwrap(),
        ["a file", "a file", "HTTP/1.1 413 Payload Too Large"]
    );
    assert!(!socket.exists());
}

#[test]
fn what_the_app_still_does_is_finished_before_it_returns() {
    let done = Rc::new(Cell::new(false));
    let end = Rc::clone(&done);
    let site = Server::new(Config::new()).app(async move |worker| {
        let end = Rc::clone(&end);
        Ok(tower::service_fn(move |_: Request<Body>| {
            let (end, shutdown) = (Rc::clone(&end), worker.shutdown());
            async move {
                shutdown.await;
                end.set(true);
                Ok::<_, BoxError>(Response::new(Body::empty()))
            }
        }))
    });
    let client = site.serve_here(async |here| {
        let mut client = TcpStream::connect(here.address()).await.unwrap();
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        while here.worker().in_flight() == 0 {
            tokio::task::yield_now().await;
        }
        client // open to the end
    });
    drop(client.unwrap());
    assert!(done.get());
}

#[test]
fn extractors_know_a_body_that_is_too_large() {
    let app = Router::new().route("/", post(async |all: Bytes| all.len().to_string()));
    let outcome = Server::new(Config::new().set("listen.client_max_body_size", 4))
        .app(async move |_| Ok(app.clone()))
        .serve_here(async |here| {
            let mut answers = Vec::new();
            for body in ["4\r\n1234\r\n0\r\n\r\n", "5\r\n12345\r\n0\r\n\r\n"] {
                let mut client = TcpStream::connect(here.address()).await.unwrap();
                let head = "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
                let request = format!("{head}Transfer-Encoding: chunked\r\n\r\n{body}");
                client.write_all(request.as_bytes()).await.unwrap();
                let mut answer = String::new();
                client.read_to_string(&mut answer).await.unwrap();
                answers.push(answer.lines().next().unwrap_or_default().to_owned());
            }
            answers
        });
    let expected = ["HTTP/1.1 200 OK", "HTTP/1.1 413 Payload Too Large"];
    assert_eq!(outcome.unwrap(), expected);
}
