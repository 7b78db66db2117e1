//! The load generator itself: a proof that finds no loss is worth nothing if it could not see one.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::spawn;

use socket2::SockRef;

use crate::harness::Plan;
use crate::harness::load::Tally;

const WHOLE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const LAST: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

/// What a server of these tests does with the `n`th request on a connection.
type Behaviour = fn(usize, &mut TcpStream) -> Then;

/// Whether the server keeps the connection.
#[derive(PartialEq)]
enum Then {
    Keep,
    Close,
    Reset,
}

/// A server that behaves like this; it lives as long as the test program.
fn server(behaviour: Behaviour) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    spawn(move || {
        for stream in listener.incoming().flatten() {
            spawn(move || serve(stream, behaviour));
        }
    });
    address
}

fn serve(mut stream: TcpStream, behaviour: Behaviour) {
    let mut requests = BufReader::new(stream.try_clone().unwrap()).lines();
    for n in 0.. {
        let mut head = requests
            .by_ref()
            .map_while(Result::ok)
            .take_while(|line| !line.is_empty());
        if head.by_ref().count() == 0 {
            return; // the client has left
        }
        match behaviour(n, &mut stream) {
            Then::Keep => {}
            Then::Close => break,
            Then::Reset => {
                let linger = Some(std::time::Duration::ZERO);
                SockRef::from(&stream).set_linger(linger).unwrap();
                break;
            }
        }
    }
}

/// What GET clients with kept connections report of such a server.
fn tally(behaviour: Behaviour) -> Tally {
    let load = Plan::new(server(behaviour), "/").keep_alive_get(3).start();
    std::thread::sleep(crate::harness::SILENCE);
    load.finish()
}

#[test]
fn a_good_server_loses_nothing() {
    tally(|_, stream| {
        stream.write_all(WHOLE).unwrap();
        Then::Keep
    })
    .assert_lossless();
}

#[test]
fn a_close_that_was_announced_is_no_loss() {
    let tally = tally(|n, stream| {
        let is_last = n == 2;
        stream
            .write_all(if is_last { LAST } else { WHOLE })
            .unwrap();
        if is_last { Then::Close } else { Then::Keep }
    });
    tally.assert_lossless();
    assert!(tally.connects > 3, "{tally:?}");
}

#[test]
fn a_request_without_an_answer_is_a_loss() {
    for behaviour in [(|_, _| Then::Close) as Behaviour, |_, _| Then::Reset] {
        let tally = tally(behaviour);
        assert!(tally.no_answer > 0, "{tally:?}");
        assert_eq!(
            tally.answers + tally.truncated + tally.connect_errors,
            0,
            "{tally:?}"
        );
    }
}

#[test]
fn a_broken_answer_is_a_loss() {
    let cuts: [Behaviour; 3] = [
        |_, stream| cut(stream, 3),
        |_, stream| cut(stream, 30),
        |_, stream| cut(stream, WHOLE.len() - 1),
    ];
    for behaviour in cuts {
        let tally = tally(behaviour);
        assert!(tally.truncated > 0 && tally.answers == 0, "{tally:?}");
    }
}

/// Sends the beginning of an answer.
fn cut(stream: &mut TcpStream, length: usize) -> Then {
    stream.write_all(&WHOLE[..length]).unwrap();
    Then::Close
}

#[test]
fn another_status_is_a_failure() {
    let tally = tally(|_, stream| {
        stream
            .write_all(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
            .unwrap();
        Then::Keep
    });
    assert!(tally.wrong > 0 && tally.answers == 0, "{tally:?}");
}

#[test]
fn nobody_there_is_a_connect_error() {
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let load = Plan::new(address, "/").per_request(2).start();
    std::thread::sleep(crate::harness::SILENCE / 4);
    let tally = load.finish();
    assert!(tally.connect_errors > 0 && tally.losses() == 0, "{tally:?}");
}
