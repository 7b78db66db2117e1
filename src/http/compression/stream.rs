//! A body that is encoded while it is sent.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body as _, Frame};

use super::encoder::Encoder;
use crate::http::{Body, BoxError};

/// How much is encoded at a time, in bytes.
const PIECE: usize = 32 * 1024;

/// How much is encoded before others get the thread: less than a millisecond's work.
const TURN: usize = 64 * 1024;

/// The output that is sent without waiting for more, in bytes.
const ENOUGH: usize = 16 * 1024;

/// The frames of a body, some of which have been read before.
#[derive(Debug)]
pub(super) struct Source {
    /// Comes first; may be empty.
    begun: Bytes,
    /// Comes second: what else was read ahead, trailers or an error.
    then: Option<Result<Frame<Bytes>, BoxError>>,
    /// Comes last.
    rest: Body,
}

/// What was found in a body that might have been ready.
pub(super) enum Gathered {
    /// Everything.
    All(Bytes),
    /// A beginning, with which this starts.
    Part(Source),
}

impl From<Body> for Source {
    fn from(mut body: Body) -> Self {
        Self {
            begun: body.take_whole().unwrap_or_default(),
            then: None,
            rest: body,
        }
    }
}

impl Source {
    /// All bytes of a body that is ready at once, ends without trailers and holds `most` bytes at
    /// most; otherwise what was read of it, and the rest.
    pub(super) fn gather(body: Body, most: u64, cx: &mut Context<'_>) -> Gathered {
        let mut source = Self::from(body);
        // One frame is passed on as it is; several are put together.
        let mut several = BytesMut::new();
        loop {
            match Pin::new(&mut source.rest).poll_frame(cx) {
                Poll::Ready(None) => {
                    source.join(&mut several);
                    return Gathered::All(source.begun);
                }
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) if source.begun.is_empty() && several.is_empty() => {
                        source.begun = data;
                    }
                    Ok(data) => {
                        several.extend_from_slice(&std::mem::take(&mut source.begun));
                        several.extend_from_slice(&data);
                    }
                    Err(trailers) => {
                        source.then = Some(Ok(trailers));
                        break;
                    }
                },
                Poll::Ready(Some(Err(error))) => {
                    source.then = Some(Err(error));
                    break;
                }
                Poll::Pending => break,
            }
            if (source.begun.len() + several.len()) as u64 > most {
                break; // it is longer than it said
            }
        }
        source.join(&mut several);
        Gathered::Part(source)
    }

    fn join(&mut self, several: &mut BytesMut) {
        if !several.is_empty() {
            self.begun = several.split().freeze();
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if !self.begun.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.begun)))));
        }
        if let Some(frame) = self.then.take() {
            return Poll::Ready(Some(frame));
        }
        Pin::new(&mut self.rest).poll_frame(cx)
    }
}

/// What is left to do.
#[derive(Debug)]
enum State {
    /// Read and encode.
    Open(Box<Encoder>),
    /// Send these, after what is in the buffer.
    Trailers(Frame<Bytes>),
    /// Nothing, after what is in the buffer.
    Over,
    /// Nothing: the body broke off, and its end must not look like one.
    Broken,
}

/// Encodes what `source` yields. Whenever the source has nothing ready, everything so far is
/// pushed out, so that a client sees each event when it happens; while it has, output is gathered.
#[derive(Debug)]
pub(super) struct Encoded {
    source: Source,
    /// Read and not yet encoded.
    input: Bytes,
    /// Encoded and not yet sent.
    out: Vec<u8>,
    /// Whether the encoder may hold something back.
    is_unflushed: bool,
    /// What was encoded since others had the thread.
    worked: usize,
    state: State,
}

impl Encoded {
    pub(super) fn new(encoder: Encoder, source: Source) -> Self {
        Self {
            source,
            input: Bytes::new(),
            out: Vec::new(),
            is_unflushed: false,
            worked: 0,
            state: State::Open(Box::new(encoder)),
        }
    }

    /// One step of encoding; `Ready` when there is something to send, or nothing any more.
    fn step(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, BoxError> {
        let State::Open(encoder) = &mut self.state else {
            return Ok(Poll::Ready(()));
        };
        while self.out.len() < ENOUGH {
            if self.worked >= TURN {
                self.worked = 0;
                // Unlike a plain wake, this lets the runtime look at its sockets first.
                let _ = pin!(tokio::task::yield_now()).poll(cx);
                return Ok(Poll::Pending);
            }
            if !self.input.is_empty() {
                let piece = self.input.split_to(self.input.len().min(PIECE));
                self.worked += piece.len();
                self.is_unflushed = true;
                encoder.write(&piece, &mut self.out)?;
                continue;
            }
            match self.source.poll_frame(cx) {
                Poll::Ready(Some(frame)) => match frame?.into_data() {
                    Ok(data) => {
                        self.input = data;
                        self.worked += 1; // empty frames are work too
                    }
                    Err(trailers) => {
                        encoder.finish(&mut self.out)?;
                        self.state = State::Trailers(trailers);
                        break;
                    }
                },
                Poll::Ready(None) => {
                    encoder.finish(&mut self.out)?;
                    self.state = State::Over;
                    break;
                }
                Poll::Pending => {
                    self.worked = 0;
                    if self.is_unflushed {
                        encoder.flush(&mut self.out)?;
                        self.is_unflushed = false;
                    }
                    if self.out.is_empty() {
                        return Ok(Poll::Pending);
                    }
                    break;
                }
            }
        }
        Ok(Poll::Ready(()))
    }
}

impl http_body::Body for Encoded {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        match this.step(cx) {
            Ok(step) => ready!(step),
            Err(error) => {
                this.state = State::Broken;
                this.out = Vec::new();
                return Poll::Ready(Some(Err(error)));
            }
        }
        if !this.out.is_empty() {
            let out = std::mem::take(&mut this.out);
            return Poll::Ready(Some(Ok(Frame::data(out.into()))));
        }
        match std::mem::replace(&mut this.state, State::Over) {
            State::Trailers(trailers) => Poll::Ready(Some(Ok(trailers))),
            State::Broken => {
                this.state = State::Broken;
                Poll::Ready(Some(Err("the body broke off before".into())))
            }
            State::Open(_) | State::Over => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.out.is_empty() && matches!(self.state, State::Over)
    }
}
