//! Lines into files, pipes that are stuck, pipes that are gone, and full disks.

use std::fs;
use std::io::{Read, Seek};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use http::{Method, Uri, Version};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

use super::super::record::RequestLine;
use super::*;
use crate::http::PeerAddr;

fn push(log: &LogBuffer, target: &str) {
    let uri: Uri = target.parse().unwrap();
    log.push(&Record {
        peer: PeerAddr::Unix,
        user: None,
        line: Some(RequestLine {
            method: &Method::GET,
            uri: &uri,
            version: Version::HTTP_11,
        }),
        status: 200,
        bytes: 1,
        referer: None,
        user_agent: None,
        response_time: Some(Duration::ZERO),
        total_time: Duration::ZERO,
    });
}

fn log_to(target: impl Into<OwnedFd>) -> LogBuffer {
    LogBuffer::new(LogFormat::Tiny, SlotId(0), 1, target)
}

fn line(target: &str) -> String {
    format!("GET {target} 200 1 - 0.000 ms\n")
}

#[test]
fn lines_wait_for_a_flush_or_a_full_batch() {
    let mut file = tempfile::tempfile().unwrap();
    let log = log_to(file.try_clone().unwrap());
    push(&log, "/a");
    assert_eq!(file.metadata().unwrap().len(), 0);
    log.flush();
    log.flush();
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, line("/a"));
    for _ in 0..=BATCH / line("/").len() {
        push(&log, "/");
    }
    assert!(file.metadata().unwrap().len() >= BATCH as u64);
}

#[test]
fn another_file_begins_after_the_last_line_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    let log = log_to(File::create(&old).unwrap());
    push(&log, "/1");
    log.replace(File::create(&new).unwrap());
    push(&log, "/2");
    log.flush();
    assert_eq!(fs::read_to_string(old).unwrap(), line("/1"));
    assert_eq!(fs::read_to_string(new).unwrap(), line("/2"));
}

#[test]
fn a_pipe_gets_whole_lines_in_small_pieces() {
    let (mut reader, writer) = io::pipe().unwrap();
    let target = Target::new(writer.into());
    let long = format!("{}\n", "x".repeat(5000));
    let lines = format!(
        "{}{}{long}end\n",
        "a\n".repeat(2000),
        "b".repeat(94) + "\n" + "c\n"
    );
    let mut rest = lines.as_bytes();
    let mut sizes = Vec::new();
    while !rest.is_empty() {
        let piece = target.piece(rest);
        assert!(piece.ends_with(b"\n"));
        sizes.push(piece.len());
        rest = &rest[piece.len()..];
    }
    assert_eq!(sizes, [4000 + 95, 2, 5001, 4]);
    let log = log_to(target.file);
    push(&log, "/a");
    log.flush();
    drop(log);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, line("/a"));
}

#[test]
fn a_reader_that_does_not_read_costs_lines_but_no_waiting() {
    let (mut reader, writer) = io::pipe().unwrap();
    let log = log_to(writer);
    let target = format!("/{}", "x".repeat(1000));
    let (one, count) = (line(&target).len(), 1000);
    for _ in 0..count {
        push(&log, &target);
    }
    let lost = log.dropped();
    assert!(lost > 0);
    assert!(log.inner.borrow().lines.len() <= LIMIT);
    let mut read = 0;
    let mut buffer = vec![0; 1 << 20];
    while !log.inner.borrow().lines.is_empty() {
        read += reader.read(&mut buffer).unwrap();
        log.flush();
    }
    drop(log);
    read += reader.read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(
        (read / one, read % one),
        (count - usize::try_from(lost).unwrap(), 0)
    );
}

#[test]
fn a_reader_that_has_gone_costs_lines_and_nothing_else() {
    let (reader, writer) = UnixStream::pair().unwrap();
    let log = log_to(writer);
    drop(reader);
    push(&log, "/a");
    push(&log, "/b");
    log.flush();
    assert_eq!(log.dropped(), 2);
    log.flush();
    assert_eq!(log.dropped(), 2);
}

#[test]
fn a_full_disk_costs_lines_and_nothing_else() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let log = log_to(full);
    push(&log, "/a");
    log.flush();
    assert_eq!(log.dropped(), 1);
}

#[test]
fn half_a_line_at_the_end_of_a_full_disk_is_ended_before_the_next() {
    let full = memfd_create("full", MFdFlags::MFD_ALLOW_SEALING).unwrap();
    let full = File::from(full);
    full.set_len(8192).unwrap();
    fcntl(&full, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_GROW)).unwrap();
    let log = log_to(full);
    let target = format!("/{}", "x".repeat(4986));
    assert!(2 * line(&target).len() > 8192);
    push(&log, &target);
    push(&log, &target);
    log.flush();
    assert_eq!(log.dropped(), 1);
    let mut file = tempfile::tempfile().unwrap();
    log.inner.borrow_mut().target.file = file.try_clone().unwrap();
    for target in ["/a", "/b"] {
        push(&log, target);
        log.flush();
    }
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, format!("\n{}{}", line("/a"), line("/b")));
}
