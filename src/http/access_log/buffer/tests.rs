//! Lines into files, pipes that are stuck, pipes that are gone, and full disks.

#![allow(clippy::disallowed_methods, reason = "a test may play the other side")]

use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::os::unix::net::UnixStream;

use http::{Method, Version};
use nix::fcntl::{FcntlArg, fcntl};

use super::super::record::RequestLine;
use super::*;
use crate::config::{LogFormat, LogTarget, Ratio};
use crate::scoreboard::{RowId, Scoreboard};

fn record(url: &str) -> Record<'_> {
    Record {
        line: Some(RequestLine {
            method: &Method::GET,
            url,
            version: Version::HTTP_11,
        }),
        length: Some(1),
        response_time: Some(Duration::ZERO),
        ..Record::unread(PeerAddr::Unix, 200)
    }
}

fn push(log: &LogBuffer, url: &str) {
    log.push(&record(url), None);
}

fn row() -> Row<'static> {
    let board: &'static Scoreboard = Box::leak(Box::new(Scoreboard::create().unwrap()));
    board.row(RowId(0))
}

fn log_of(
    format: LogFormat,
    on_overflow: Overflow,
    target: impl Into<OwnedFd>,
) -> (LogBuffer, Row<'static>) {
    let config = config::AccessLog {
        path: LogTarget::Stdout,
        format,
        sample: Ratio::ONE,
        buffer: 64 << 10,
        on_overflow,
    };
    let row = row();
    (LogBuffer::new(&config, (SlotId(0), 1), row, target), row)
}

fn log_to(target: impl Into<OwnedFd>) -> (LogBuffer, Row<'static>) {
    log_of(LogFormat::Tiny, Overflow::Drop, target)
}

fn line(target: &str) -> String {
    format!("GET {target} 200 1 - 0.000 ms\n")
}

/// Until all is written that can be.
fn finish(log: &LogBuffer, within: Duration) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    runtime.unwrap().block_on(log.finish(within));
}

fn finish_all(log: &LogBuffer) {
    finish(log, Duration::from_secs(60));
}

#[test]
fn lines_wait_for_a_flush_or_a_full_batch() {
    let mut file = tempfile::tempfile().unwrap();
    let (log, row) = log_to(file.try_clone().unwrap());
    push(&log, "/a");
    assert!(log.is_settled() && log.inner.borrow().batches.is_idle());
    assert_eq!(file.metadata().unwrap().len(), 0);
    log.flush();
    finish_all(&log);
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, line("/a"));
    for _ in 0..=BATCH / line("/").len() {
        push(&log, "/");
    }
    assert!(
        log.inner.borrow().lines.len() < BATCH,
        "a full batch was not handed over"
    );
    finish_all(&log);
    assert_eq!(
        row.counters().log_lines,
        2 + (BATCH / line("/").len()) as u64
    );
}

#[test]
fn another_file_begins_after_the_last_line_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    let (log, _) = log_to(File::create(&old).unwrap());
    push(&log, "/1");
    log.replace(File::create(&new).unwrap());
    push(&log, "/2");
    finish_all(&log);
    assert!(log.is_settled());
    assert_eq!(fs::read_to_string(old).unwrap(), line("/1"));
    assert_eq!(fs::read_to_string(new).unwrap(), line("/2"));
}

#[test]
fn a_reader_that_does_not_read_costs_lines_but_no_waiting() {
    let (mut reader, writer) = io::pipe().unwrap();
    let (log, row) = log_to(writer);
    let target = format!("/{}", "x".repeat(1000));
    for _ in 0..1000 {
        push(&log, &target);
        log.flush();
    }
    let lost = row.counters().log_dropped;
    assert!(lost > 800, "{lost}");
    assert!(log.inner.borrow().held() <= log.limit);
    let read = std::thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    });
    finish_all(&log);
    drop(log);
    let text = read.join().unwrap();
    let (marks, lines): (Vec<_>, Vec<_>) = text.lines().partition(|line| line.starts_with('#'));
    assert!(lines.iter().all(|it| format!("{it}\n") == line(&target)));
    assert_eq!(row.counters().log_lines, lines.len() as u64);
    assert_eq!(row.counters().log_dropped, 1000 - lines.len() as u64);
    let marked = marks.iter().map(|mark| {
        let (_, rest) = mark.split_once("log_dropped=").unwrap();
        rest.split(' ').next().unwrap().parse::<u64>().unwrap()
    });
    assert_eq!(marked.sum::<u64>(), lost, "{marks:?}");
}

#[test]
fn lines_that_are_given_up_are_counted() {
    let (_reader, writer) = io::pipe().unwrap();
    let (log, row) = log_to(writer);
    let target = format!("/{}", "x".repeat(1000));
    for _ in 0..1000 {
        push(&log, &target);
    }
    finish(&log, Duration::from_millis(50));
    let counters = row.counters();
    assert_eq!(
        counters.log_dropped + counters.log_lines,
        1000,
        "{counters:?}"
    );
}

#[test]
fn where_responses_wait_no_line_is_lost() {
    let (mut reader, writer) = io::pipe().unwrap();
    let (log, row) = log_of(LogFormat::Tiny, Overflow::Block, writer);
    let target = format!("/{}", "x".repeat(1000));
    assert!(!log.is_blocked());
    for _ in 0..1000 {
        push(&log, &target);
    }
    assert!(log.is_blocked());
    let read = std::thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    });
    finish_all(&log);
    assert!(!log.is_blocked());
    drop(log);
    assert_eq!(read.join().unwrap(), line(&target).repeat(1000));
    assert_eq!(row.counters().log_dropped, 0);
}

#[test]
fn a_reader_that_has_gone_costs_every_line_once() {
    let (reader, writer) = UnixStream::pair().unwrap();
    drop(reader);
    let (log, row) = log_to(writer);
    push(&log, "/a");
    push(&log, "/b");
    finish_all(&log);
    assert_eq!(row.counters().log_dropped, 2);
    log.flush();
    finish_all(&log);
    assert_eq!(row.counters().log_dropped, 2);
}

#[test]
fn a_full_disk_costs_lines_and_the_next_file_says_how_many() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let (log, row) = log_to(full);
    push(&log, "/a");
    push(&log, "/b");
    finish_all(&log);
    assert_eq!(row.counters().log_dropped, 2);
    let mut file = tempfile::tempfile().unwrap();
    log.replace(file.try_clone().unwrap());
    push(&log, "/c");
    finish_all(&log);
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    let (mark, rest) = text.split_once('\n').unwrap();
    assert!(mark.contains(" log_dropped=2 "), "{text}");
    assert_eq!(rest, line("/c"));
}

#[test]
fn a_long_line_is_cut_for_a_pipe_and_json_stays_json() {
    let url = format!("/{}", "\"".repeat(9000));
    for format in [LogFormat::Tiny, LogFormat::Json] {
        let (reader, writer) = io::pipe().unwrap();
        let (log, _) = log_of(format.clone(), Overflow::Drop, writer);
        let record = Record {
            referer: Some(url.as_bytes()),
            user_agent: Some(url.as_bytes()),
            id: Some(url.as_bytes()),
            ..record(&url)
        };
        log.push(&record, None);
        finish_all(&log);
        drop(log);
        let text = io::read_to_string(reader).unwrap();
        assert!(
            text.len() <= PIECE && text.ends_with('\n'),
            "{}",
            text.len()
        );
        let is_json = serde_json::from_str::<serde_json::Value>(&text).is_ok();
        assert_eq!(is_json, format == LogFormat::Json);
    }
}

#[test]
fn who_waits_is_woken_when_something_was_written() {
    let (mut reader, writer) = io::pipe().unwrap();
    fcntl(&reader, FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
    let (log, _) = log_of(LogFormat::Tiny, Overflow::Block, writer);
    while !log.is_blocked() {
        push(&log, "/");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let copy = std::thread::spawn(move || io::copy(&mut reader, &mut io::sink()));
    runtime.unwrap().block_on(std::future::poll_fn(|cx| {
        log.wake_later(cx.waker(), None);
        match log.is_blocked() {
            true => std::task::Poll::Pending,
            false => std::task::Poll::Ready(()),
        }
    }));
    finish_all(&log);
    drop(log);
    copy.join().unwrap().unwrap();
}
