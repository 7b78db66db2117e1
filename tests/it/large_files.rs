//! Files that the kernel sends: they arrive whole, whoever receives them and whatever becomes of
//! the file; they cost no memory.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use socket2::{Domain, Socket, Type};

use crate::harness::random::Random;
use crate::harness::{Appserver, Builder, Connection, process};

const MIB: usize = 1 << 20;

fn site() -> Builder {
    Appserver::new().file("public/index.html", "<p>home</p>")
}

/// Bytes that are different everywhere.
fn noise(length: usize) -> Vec<u8> {
    let mut random = Random::seeded();
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend_from_slice(&random.next().to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Asks by a socket with a small buffer and reads as `pause` says; the body.
fn read_slowly(server: &Appserver, path: &str, pause: impl Fn(usize)) -> Vec<u8> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    socket.connect(&server.address().into()).unwrap();
    let mut stream = TcpStream::from(socket);
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let (mut all, mut space) = (Vec::new(), [0; 16 * 1024]);
    loop {
        let count = stream.read(&mut space).unwrap();
        if count == 0 {
            break;
        }
        all.extend_from_slice(&space[..count]);
        pause(all.len());
    }
    let end = all.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    all.split_off(end + 4)
}

#[test]
fn many_clients_at_once_get_every_byte() {
    let content = noise(9 * MIB + 12_345);
    let server = site()
        .workers(1)
        .file("public/large.bin", &content)
        .file("public/small.bin", &content[..100_000])
        .start();
    let mut random = Random::seeded();
    thread::scope(|scope| {
        for _ in 0..6 {
            let mut random = random.fork();
            let (server, content) = (&server, &content);
            scope.spawn(move || {
                let mut connection = server.connect();
                for _ in 0..12 {
                    let start = random.below(content.len());
                    let end = start + random.below(content.len() - start);
                    let range = format!("Range: bytes={start}-{end}\r\n");
                    let part = connection.get_with("/large.bin", &range);
                    assert!(part.body == content[start..=end], "{start}-{end}");
                    assert!(connection.get("/small.bin").body == content[..100_000]);
                }
                assert!(connection.get("/large.bin").body == *content);
            });
        }
        scope.spawn(|| {
            let body = read_slowly(&server, "/large.bin", |read| {
                if read % 7 == 0 {
                    thread::sleep(Duration::from_millis(1));
                }
            });
            assert!(body == content);
        });
    });
}

#[test]
fn requests_that_follow_in_one_piece_are_answered_in_order() {
    let content = noise(3 * MIB);
    let server = site().workers(1).file("public/large.bin", &content).start();
    let mut connection = server.connect();
    let get = "GET /large.bin HTTP/1.1\r\nHost: test\r\n\r\n";
    let head = "HEAD /large.bin HTTP/1.1\r\nHost: test\r\n\r\n";
    connection.send(format!("{get}{get}{head}{get}"));
    for is_head in [false, false, true, false] {
        if is_head {
            let response = connection.response_to_head();
            let length = content.len().to_string();
            assert_eq!(response.header("content-length"), Some(length.as_str()));
        } else {
            assert!(connection.response().body == content);
        }
    }
}

#[test]
fn old_clients_and_socket_files_get_them_too() {
    let content = noise(3 * MIB);
    let builder = site().file("public/large.bin", &content);
    let socket = builder.folder().join("http.sock");
    let listen = format!("listen = [\"127.0.0.1:0\", \"unix:{}\"]", socket.display());
    let server = builder.listen_unsaid().config(&listen).start();
    let mut local = Connection::open_unix(&socket);
    assert!(local.get("/large.bin").body == content);
    assert!(local.get("/large.bin").body == content);
    let mut old = server.connect();
    old.send("GET /large.bin HTTP/1.0\r\n\r\n");
    let all = old.read_to_end().unwrap();
    assert!(all.ends_with(&content));
}

#[test]
fn files_that_are_not_in_memory_are_fetched() {
    let content = noise(5 * MIB);
    let server = site()
        .file("public/large.bin", &content)
        .file("public/small.bin", &content[..50_000])
        .start();
    for name in ["large.bin", "small.bin"] {
        let file = File::open(server.file(&format!("public/{name}"))).unwrap();
        file.sync_all().unwrap();
        posix_fadvise(file.as_fd(), 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).unwrap();
    }
    assert!(server.get("/large.bin").body == content);
    assert!(server.get("/small.bin").body == content[..50_000]);
}

#[test]
fn a_file_that_is_deleted_or_replaced_is_sent_as_it_was_opened() {
    let content = noise(12 * MIB);
    let server = site().workers(1).file("public/large.bin", &content).start();
    let body = read_slowly(&server, "/large.bin", |read| {
        if read < 20 * 1024 {
            fs::write(server.file("public/new"), "new").unwrap();
            fs::rename(server.file("public/new"), server.file("public/large.bin")).unwrap();
        }
    });
    assert!(body == content);
    server.wait_until("the new one is sent", |s| {
        s.get("/large.bin").text() == "new"
    });
    fs::remove_file(server.file("public/large.bin")).unwrap();
    server.wait_until("it has gone", |s| s.get("/large.bin").status == 404);
}

#[test]
fn a_file_that_becomes_shorter_breaks_its_connection_and_no_other() {
    let content = noise(12 * MIB);
    let server = site()
        .workers(1)
        .file("public/large.bin", &content)
        .allow(&["ERROR"])
        .start();
    let pids = server.pids();
    let mut connection = server.connect();
    connection.send("GET /large.bin HTTP/1.1\r\nHost: test\r\n\r\n");
    server.wait_until("it is being sent", |s| s.list()[0].inflight == 1);
    let file = File::options()
        .write(true)
        .open(server.file("public/large.bin"));
    file.unwrap().set_len(11 * MIB as u64).unwrap();
    let failure = connection.try_response(false).unwrap_err();
    assert!(format!("{failure:?}").contains("Truncated"), "{failure:?}");
    assert_eq!(server.get("/").status, 200);
    assert_eq!(server.pids(), pids);
    assert_eq!(server.describe()["totals"]["broken"], 1);
    let sent = format!("sent={}", 11 * MIB);
    let facts = ["method=GET", "path=\"/large.bin\"", "status=200", &sent];
    assert!(server.journal().has_line(&facts));
    assert_eq!(server.journal().count(&["ERROR"]), 1, "once");
}

#[test]
fn open_files_are_closed_when_nobody_asks_for_them() {
    let server = site()
        .workers(1)
        .file("public/large.bin", noise(MIB))
        .start();
    let worker = *server.pids().iter().next().unwrap();
    let before = process::descriptors(worker);
    assert_eq!(server.get("/large.bin").body.len(), MIB);
    assert!(
        process::descriptors(worker) > before,
        "it stays open for a while"
    );
    server.wait_until("it is closed", |_| process::descriptors(worker) <= before);
}

/// Memory that a process has for itself, in KiB.
fn private_kib(pid: i32) -> usize {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let field = |line: &str| line.split_whitespace().nth(1)?.parse::<usize>().ok();
    rollup
        .lines()
        .filter(|line| line.starts_with("Private_"))
        .filter_map(field)
        .sum()
}

#[test]
fn slow_downloads_cost_no_memory() {
    const SIZE: u64 = 200 << 20;
    let server = site().workers(1).start();
    let file = File::create(server.file("public/sparse.bin")).unwrap();
    file.set_len(SIZE).unwrap();
    let worker = *server.pids().iter().next().unwrap();
    assert_eq!(server.get("/").status, 200);
    let before = private_kib(worker);
    let mut clients: Vec<TcpStream> = (0..8)
        .map(|_| {
            let mut stream = TcpStream::connect(server.address()).unwrap();
            let request = "GET /sparse.bin HTTP/1.1\r\nHost: test\r\n\r\n";
            stream.write_all(request.as_bytes()).unwrap();
            stream
        })
        .collect();
    let (mut most, mut space) = (0, vec![0; MIB]);
    for _ in 0..40 {
        for client in &mut clients {
            client.read_exact(&mut space).unwrap();
        }
        most = most.max(private_kib(worker));
    }
    eprintln!("private memory: {before} KiB before, at most {most} KiB with 8 downloads");
    assert!(most < before + 8 * 256, "{before} KiB became {most} KiB");
    drop(clients);
    assert_eq!(server.get("/").status, 200);
}
