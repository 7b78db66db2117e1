//! Bodies in pieces: order, turns, ends. The rules about header fields are tested through the
//! real binary.

use std::task::Waker;

use futures_util::{FutureExt, StreamExt};
use http::{HeaderMap, HeaderValue};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};

use super::*;
use crate::http::BoxError;

type Item = Result<Frame<Bytes>, BoxError>;

fn body(items: Vec<Item>) -> Body {
    Body::new(StreamBody::new(futures_util::stream::iter(items)))
}

fn data(bytes: impl Into<Bytes>) -> Item {
    Ok(Frame::data(bytes.into()))
}

fn encoded(body: Body) -> Encoded {
    Encoded::new(Encoder::new(Encoding::Zstd, 3), Source::from(body))
}

fn gathered(items: Vec<Item>) -> Gathered {
    Source::gather(body(items), 10, &mut Context::from_waker(Waker::noop()))
}

fn all(items: Vec<Item>) -> Bytes {
    match gathered(items) {
        Gathered::All(bytes) => bytes,
        Gathered::Part(source) => panic!("only a part: {source:?}"),
    }
}

/// Reads a body to its end; how often it gave the thread away meanwhile.
fn read(mut body: Encoded) -> (Vec<Item>, usize) {
    let (mut items, mut pauses) = (Vec::new(), 0);
    loop {
        match Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(item)) => {
                let is_error = item.is_err();
                items.push(item);
                if is_error {
                    return (items, pauses);
                }
            }
            Poll::Ready(None) => return (items, pauses),
            Poll::Pending => pauses += 1,
        }
    }
}

fn decoded(items: Vec<Item>) -> Vec<u8> {
    let frames = items
        .into_iter()
        .map(|item| item.unwrap().into_data().unwrap());
    let bytes: Vec<u8> = frames.flatten().collect();
    zstd::stream::decode_all(&bytes[..]).unwrap()
}

#[test]
fn a_long_body_is_encoded_in_turns() {
    let text = vec![b'x'; 1 << 20];
    let (items, pauses) = read(encoded(text.clone().into()));
    assert!(pauses >= 15, "{pauses}");
    assert_eq!(decoded(items), text);
}

#[test]
fn one_frame_can_be_long() {
    let text = vec![b'x'; 1 << 20];
    let (items, pauses) = read(encoded(body(vec![data("a"), data(text.clone())])));
    assert!(pauses >= 15, "{pauses}");
    assert_eq!(decoded(items), [b"a", &text[..]].concat());
}

#[test]
fn what_is_ready_is_gathered_into_one_frame() {
    let items = (0..100).map(|_| data("event\n")).collect();
    let (items, _) = read(encoded(body(items)));
    assert_eq!(items.len(), 1);
    assert_eq!(decoded(items), b"event\n".repeat(100));
}

#[test]
fn nothing_is_held_back_while_the_source_waits() {
    let events = futures_util::stream::iter([data("one"), data("two")])
        .chain(futures_util::stream::pending());
    let mut body = encoded(Body::new(StreamBody::new(events)));
    let first = body.frame().now_or_never().flatten().unwrap().unwrap();
    let mut seen = [0; 6];
    let bytes = first.into_data().unwrap();
    let mut reader = zstd::stream::read::Decoder::new(&bytes[..]).unwrap();
    std::io::Read::read_exact(&mut reader, &mut seen).unwrap();
    assert_eq!(&seen, b"onetwo");
    assert!(body.frame().now_or_never().is_none());
}

#[test]
fn a_body_that_breaks_off_has_no_end() {
    let whole = decoded(read(encoded(body(vec![data("abc")]))).0);
    assert_eq!(whole, b"abc");
    let (items, _) = read(encoded(body(vec![data("abc"), Err("broke off".into())])));
    assert_eq!(
        items.len(),
        1,
        "an end of the encoding would look like success"
    );
    assert!(items[0].is_err());
}

#[test]
fn an_error_is_never_followed_by_an_end() {
    let mut body = encoded(body(vec![Err("broke off".into())]));
    for _ in 0..3 {
        let item = body.frame().now_or_never().flatten();
        assert!(item.is_some_and(|item| item.is_err()));
        assert!(!body.is_end_stream());
    }
}

#[test]
fn trailers_come_after_the_end_of_the_encoding() {
    let trailers = HeaderMap::from_iter([(http::header::ETAG, HeaderValue::from_static("\"x\""))]);
    let items = vec![data("abc"), Ok(Frame::trailers(trailers.clone()))];
    let (mut items, _) = read(encoded(body(items)));
    let last = items.pop().unwrap().unwrap().into_trailers().unwrap();
    assert_eq!(last, trailers);
    assert_eq!(decoded(items), b"abc");
}

#[test]
fn a_body_that_is_ready_is_put_together() {
    assert_eq!(all(vec![data("abc")]), "abc");
    assert_eq!(all(vec![data("abc"), data(""), data("def")]), "abcdef");
    assert_eq!(all(vec![]), "");
}

#[test]
fn what_was_read_of_another_is_not_lost() {
    let long = vec![data("0123456"), data("789ab"), data("c")];
    let broken = vec![data("abc"), data("def"), Err("broke off".into())];
    for (items, expected, breaks) in [(long, "0123456789abc", false), (broken, "", true)] {
        let Gathered::Part(source) = gathered(items) else {
            panic!("it is longer than it may be, or broken");
        };
        let (items, _) = read(Encoded::new(Encoder::new(Encoding::Zstd, 3), source));
        assert_eq!(items.iter().any(Result::is_err), breaks);
        if !breaks {
            assert_eq!(decoded(items), expected.as_bytes());
        }
    }
}
