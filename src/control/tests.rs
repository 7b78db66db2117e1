//! The two ends of the control socket, against each other and against intruders.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::poll::{PollFd, PollTimeout, poll};
use proptest::prelude::*;

use super::*;
use crate::exit::Exit;

fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/shop.sock");
    (folder, path)
}

/// An operator whose command is on its way; no thread is needed, the kernel keeps the bytes.
fn operator(path: &Path, bytes: &[u8]) -> UnixStream {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.write_all(bytes).unwrap();
    stream
}

fn asks(path: &Path, command: &Command) -> UnixStream {
    operator(path, &frame::encode(command).unwrap())
}

/// Waits for the next thing to happen, as the master's loop does.
fn turn(socket: &mut ControlSocket) -> Vec<(ClientId, Command)> {
    let fds = socket.poll_fds();
    let mut fds: Vec<_> = fds
        .into_iter()
        .map(|(fd, flags)| PollFd::new(fd, flags))
        .collect();
    poll(&mut fds, PollTimeout::from(5_000_u16)).unwrap();
    drop(fds);
    socket.on_ready()
}

/// Turns until a command has come.
fn hear(socket: &mut ControlSocket) -> (ClientId, Command) {
    loop {
        if let Some(heard) = turn(socket).pop() {
            return heard;
        }
    }
}

fn reads_answer(stream: &mut UnixStream) -> Answer {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes); // ends with a reset when the command was not all read
    let mut decoder = Decoder::default();
    decoder.push(&bytes);
    decoder.next().unwrap().expect("an answer")
}

#[test]
fn a_command_is_heard_and_answered() {
    let (_folder, path) = place();
    let mut socket = ControlSocket::bind(&path).unwrap();
    let mut stream = asks(&path, &Command::Reload);
    let (client, command) = hear(&mut socket);
    assert_eq!(command, Command::Reload);
    let answer = Answer::with_data("reloaded", &7);
    socket.answer(client, &answer);
    assert!(
        socket.client_fd(client).is_none(),
        "closed when all is written"
    );
    assert_eq!(reads_answer(&mut stream), answer);
}

#[test]
fn two_operators_get_their_own_answers_in_any_order() {
    let (_folder, path) = place();
    let mut socket = ControlSocket::bind(&path).unwrap();
    let mut first = asks(&path, &Command::Ping);
    let (ping, _) = hear(&mut socket);
    let mut second = asks(&path, &Command::List);
    let (list, _) = hear(&mut socket);
    socket.answer(list, &Answer::new(Exit::Done, "list"));
    socket.answer(ping, &Answer::new(Exit::Failed, "ping"));
    assert_eq!(reads_answer(&mut second).message, "list");
    assert_eq!(reads_answer(&mut first).exit, 1);
}

#[test]
#[allow(
    clippy::disallowed_methods,
    reason = "the client waits, so it needs its own thread"
)]
fn the_client_gets_the_answer_and_the_pid() {
    let (_folder, path) = place();
    let mut socket = ControlSocket::bind(&path).unwrap();
    let client = std::thread::spawn(move || {
        let mut connection = Connection::open(&path).unwrap();
        let answer = connection
            .call(&Command::Ping, Some(Duration::from_secs(60)))
            .unwrap();
        (connection.pid(), answer)
    });
    let (id, _) = hear(&mut socket);
    let long = "x".repeat(900_000); // more than a socket's buffer holds
    socket.answer(id, &Answer::new(Exit::Done, long.clone()));
    socket.flush(Duration::from_secs(60));
    let (pid, answer) = client.join().unwrap();
    assert_eq!(pid, i32::try_from(std::process::id()).unwrap());
    assert_eq!(answer.message, long);
}

#[test]
fn a_silent_master_is_a_timeout_and_a_dead_one_says_so() {
    let (_folder, path) = place();
    let socket = ControlSocket::bind(&path).unwrap();
    let silent = call(&path, &Command::Ping, Some(Duration::from_millis(20)));
    assert!(
        matches!(silent, Err(CallError::TimedOut { .. })),
        "{silent:?}"
    );
    let mut connection = Connection::open(&path).unwrap();
    drop(socket);
    let dead = connection.call(&Command::Ping, None);
    assert!(matches!(dead, Err(CallError::Ended { .. })), "{dead:?}");
    let gone = call(&path, &Command::Ping, None);
    assert!(
        matches!(gone, Err(CallError::NotRunning { .. })),
        "{gone:?}"
    );
    let never = call(Path::new("/nowhere/at/all.sock"), &Command::Ping, None);
    assert!(
        matches!(never, Err(CallError::NotRunning { .. })),
        "{never:?}"
    );
}

#[test]
fn what_is_no_command_is_answered_with_a_usage_error() {
    let (_folder, path) = place();
    let mut socket = ControlSocket::bind(&path).unwrap();
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\0\0\0\x02{}", b"\0\0\0\0"] {
        let mut stream = operator(&path, bytes);
        while socket.peers() == 0 {
            turn(&mut socket);
        }
        while socket.peers() > 0 {
            assert_eq!(turn(&mut socket), []);
        }
        assert_eq!(reads_answer(&mut stream).exit, Exit::Usage.code());
    }
}

#[test]
fn an_operator_who_leaves_is_forgotten() {
    let (_folder, path) = place();
    let mut socket = ControlSocket::bind(&path).unwrap();
    let waiting = asks(&path, &Command::Reload);
    let (client, _) = hear(&mut socket);
    let half = operator(&path, b"\0\0");
    while socket.peers() < 2 {
        turn(&mut socket);
    }
    drop((waiting, half));
    while socket.peers() > 0 {
        turn(&mut socket);
    }
    socket.answer(client, &Answer::new(Exit::Done, "too late"));
}

#[test]
fn an_operator_who_dawdles_is_dropped_and_one_who_waits_is_not() {
    let (_folder, path) = place();
    let mut socket = ControlSocket::bind(&path).unwrap();
    let _waiting = asks(&path, &Command::Reload);
    hear(&mut socket);
    assert_eq!(
        socket.next_deadline_ms(),
        None,
        "the master's own work has no deadline here"
    );
    let mut dawdler = operator(&path, b"\0\0");
    while socket.peers() < 2 {
        turn(&mut socket);
    }
    let due = socket.next_deadline_ms().unwrap();
    socket.expire(due - 1);
    assert_eq!(socket.peers(), 2);
    socket.expire(due);
    assert_eq!(socket.peers(), 1);
    assert_eq!(dawdler.read(&mut [0; 8]).ok().unwrap_or(0), 0);
}

#[test]
fn one_operator_too_many_is_told_so() {
    let (_folder, path) = place();
    let mut socket = ControlSocket::bind(&path).unwrap();
    let crowd: Vec<_> = (0..64).map(|_| operator(&path, b"")).collect();
    while socket.peers() < crowd.len() {
        turn(&mut socket);
    }
    let mut late = operator(&path, b"");
    turn(&mut socket);
    assert_eq!(socket.peers(), crowd.len());
    assert!(reads_answer(&mut late).message.contains("try again"));
}

#[test]
fn the_socket_and_its_folder_are_private() {
    let (_folder, path) = place();
    let _socket = ControlSocket::bind(&path).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
}

#[test]
fn a_live_server_is_left_alone() {
    let (_folder, path) = place();
    let _socket = ControlSocket::bind(&path).unwrap();
    let text = ControlSocket::bind(&path).unwrap_err().to_string();
    assert!(
        text.contains(&format!("pid {}", std::process::id())),
        "{text}"
    );
    assert!(text.contains(path.to_str().unwrap()), "{text}");
    call(&path, &Command::Ping, Some(Duration::ZERO)).unwrap_err();
    assert!(UnixStream::connect(&path).is_ok(), "it still listens");
}

#[test]
fn a_stale_socket_is_replaced() {
    let (_folder, path) = place();
    drop(ControlSocket::bind(&path).unwrap());
    assert!(path.exists());
    let mut socket = ControlSocket::bind(&path).unwrap();
    let _operator = asks(&path, &Command::Ping);
    assert_eq!(hear(&mut socket).1, Command::Ping);
}

#[test]
fn a_file_that_is_no_socket_is_kept() {
    let (folder, _) = place();
    let path = folder.path().join("precious");
    fs::write(&path, "data").unwrap();
    let error = ControlSocket::bind(&path).unwrap_err();
    assert!(
        matches!(error, ControlError::NotASocket { .. }),
        "{error:?}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "data");
}

#[test]
fn a_place_that_cannot_be_had_is_an_error_that_names_it() {
    let (folder, _) = place();
    let long = folder.path().join("x".repeat(200));
    let text = ControlSocket::bind(&long).unwrap_err().to_string();
    assert!(text.contains("xxx"), "{text}");
}

#[test]
fn only_our_own_socket_file_is_removed() {
    let (_folder, path) = place();
    let socket = ControlSocket::bind(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let _other = UnixListener::bind(&path).unwrap();
    socket.unlink();
    assert!(path.exists(), "somebody else's");
    fs::remove_file(&path).unwrap();
    let socket = ControlSocket::bind(&path).unwrap();
    socket.unlink();
    assert!(!path.exists(), "ours");
}

#[test]
fn a_re_executed_image_answers_what_the_old_one_heard() {
    let (_folder, path) = place();
    let mut old = ControlSocket::bind(&path).unwrap();
    let mut stream = asks(
        &path,
        &Command::Upgrade {
            binary: None,
            check: false,
        },
    );
    let (client, _) = hear(&mut old);
    let copy = |fd: std::os::fd::BorrowedFd<'_>| -> OwnedFd { fd.try_clone_to_owned().unwrap() };
    let (listener, carried) = (
        copy(old.listener_fd()),
        copy(old.client_fd(client).unwrap()),
    );
    let identity = old.identity();
    drop(old);
    let mut new = ControlSocket::adopt(listener, path.clone(), identity);
    let client = new.adopt_client(carried);
    assert_eq!(new.on_ready(), []);
    new.answer(client, &Answer::new(Exit::Done, "upgraded"));
    assert_eq!(reads_answer(&mut stream).message, "upgraded");
    let _next = asks(&path, &Command::Ping);
    assert_eq!(hear(&mut new).1, Command::Ping);
    new.unlink();
    assert!(!path.exists());
}

#[test]
fn a_re_executed_image_leaves_the_socket_of_another_server_alone() {
    let (_folder, path) = place();
    let old = ControlSocket::bind(&path).unwrap();
    let listener = old.listener_fd().try_clone_to_owned().unwrap();
    fs::remove_file(&path).unwrap(); // by somebody who tidied up
    let _other = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let new = ControlSocket::adopt(listener, path.clone(), old.identity());
    new.unlink();
    assert!(path.exists());
}

#[test]
fn a_notice_travels_through_a_pipe() {
    let (read, write) = nix::unistd::pipe().unwrap();
    Notice::Failed("no".to_owned()).send(write).unwrap();
    let mut bytes = Vec::new();
    fs::File::from(read).read_to_end(&mut bytes).unwrap();
    let mut decoder = Decoder::default();
    decoder.push(&bytes);
    assert_eq!(
        decoder.next().unwrap(),
        Some(Notice::Failed("no".to_owned()))
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn random_bytes_on_the_socket_never_harm_the_next_operator(bytes: Vec<u8>) {
        let (_folder, path) = place();
        let mut socket = ControlSocket::bind(&path).unwrap();
        drop(operator(&path, &bytes));
        let _operator = asks(&path, &Command::Ping);
        prop_assert_eq!(hear(&mut socket).1, Command::Ping);
    }
}
