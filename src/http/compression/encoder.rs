//! The encoders: a whole body in one go, or piece by piece with what was written so far pushed
//! out on demand. They are made once per worker and used again.

use std::cell::RefCell;
use std::fmt;

use brotli::enc::StandardAlloc;
use brotli::enc::encode::{
    BrotliEncoderOperation, BrotliEncoderParameter, BrotliEncoderStateStruct,
};
use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress, Status};
use libdeflater::{CompressionLvl, Compressor};
use zstd::zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer, ResetDirective};

use crate::config::Encoding;

/// The most that an encoder of zstd or brotli looks back, as a power of two: 256 KiB. A stream
/// holds that much memory while it is open; browsers must read 8 MiB (RFC 8878, 3.1.1.1.2).
const WINDOW_BITS: u8 = 18;

/// gzip's, which is all there is: 32 KiB.
const GZIP_WINDOW_BITS: u8 = 15;

/// The room for output that a step begins with.
const STEP: usize = 8 * 1024;

/// How many unused encoders of one kind a worker keeps: an encoder of gzip is 300 KiB.
const KEPT: usize = 4;

/// The largest scratch buffer that is kept, in bytes: what one go is used for.
const KEPT_SCRATCH: usize = 256 * 1024;

/// The lowest level of gzip for streams: the one below makes a third more of it.
const LOWEST_OF_STREAMS: u8 = 2;

/// `input` encoded, or `None` when that would not be smaller. The level is gzip's (1 to 9),
/// brotli's (0 to 11) or zstd's (1 to 19). This takes about a millisecond for 100 KiB at
/// the default levels: give it no more at a time than the loop may wait for.
pub(crate) fn encode(encoding: Encoding, level: u8, input: &[u8]) -> Option<Bytes> {
    let mut scratch = POOL
        .try_with(|pool| std::mem::take(&mut pool.borrow_mut().scratch))
        .unwrap_or_default();
    if scratch.len() < input.len() {
        scratch.resize(input.len(), 0);
    }
    // One byte less than the input: what does not fit is not smaller.
    let room = input.len().saturating_sub(1);
    let length = encode_into(encoding, level, input, &mut scratch[..room]);
    let encoded = length.map(|length| Bytes::copy_from_slice(&scratch[..length]));
    if scratch.len() <= KEPT_SCRATCH {
        let _ = POOL.try_with(|pool| pool.borrow_mut().scratch = scratch);
    }
    encoded
}

/// Encodes all of `input` into `out`; how long it became, if it fits.
fn encode_into(encoding: Encoding, level: u8, input: &[u8], out: &mut [u8]) -> Option<usize> {
    match encoding {
        Encoding::Gzip => {
            let mut gzip = match take(|pool| &mut pool.whole_gzip, level) {
                Some(kept) => kept,
                None => Compressor::new(CompressionLvl::new(level.into()).ok()?),
            };
            let length = gzip.gzip_compress(input, out).ok();
            keep(|pool| &mut pool.whole_gzip, level, gzip);
            length
        }
        Encoding::Zstd => {
            let mut zstd = take_zstd(level);
            let length = zstd.compress2(out, input).ok();
            keep_zstd(level, zstd);
            length
        }
        Encoding::Brotli => {
            let mut written = 0;
            let mut brotli = new_brotli(level, input.len());
            let finish = BrotliEncoderOperation::BROTLI_OPERATION_FINISH;
            step_brotli(&mut brotli, finish, input, out, &mut written).ok()?;
            brotli.is_finished().then_some(written)
        }
    }
}

/// An encoder refused to go on. It does so only without memory, or when it is used after an end.
#[derive(Debug, thiserror::Error)]
#[error("cannot encode: {0}")]
pub(crate) struct EncodeError(String);

/// One encoded stream.
pub(crate) struct Encoder {
    /// `None` only while it is dropped.
    codec: Option<Codec>,
    level: u8,
}

enum Codec {
    Gzip(Compress),
    Zstd(CCtx<'static>),
    Brotli(Box<BrotliEncoderStateStruct<StandardAlloc>>),
}

impl Encoder {
    /// An encoder for a stream of unknown length; the level is as in [`encode`].
    pub(crate) fn new(encoding: Encoding, level: u8) -> Self {
        let level = match encoding {
            Encoding::Gzip => level.max(LOWEST_OF_STREAMS),
            Encoding::Zstd | Encoding::Brotli => level,
        };
        let codec = match encoding {
            Encoding::Gzip => {
                Codec::Gzip(take(|pool| &mut pool.gzip, level).unwrap_or_else(|| {
                    Compress::new_gzip(Compression::new(level.into()), GZIP_WINDOW_BITS)
                }))
            }
            Encoding::Zstd => Codec::Zstd(take_zstd(level)),
            Encoding::Brotli => Codec::Brotli(new_brotli(level, 0)),
        };
        Self {
            codec: Some(codec),
            level,
        }
    }

    /// Takes input. What comes out of it may stay inside until [`flush`](Self::flush).
    pub(crate) fn write(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match self.codec()? {
            Codec::Gzip(gzip) => run_gzip(gzip, input, FlushCompress::None, out),
            Codec::Zstd(zstd) => {
                let mut input = InBuffer::around(input);
                while input.pos() < input.src.len() {
                    grow(out);
                    let at = out.len();
                    zstd.compress_stream(&mut OutBuffer::around_pos(out, at), &mut input)
                        .map_err(zstd_error)?;
                }
                Ok(())
            }
            Codec::Brotli(brotli) => run_brotli(
                brotli,
                BrotliEncoderOperation::BROTLI_OPERATION_PROCESS,
                input,
                out,
            ),
        }
    }

    /// Pushes out everything that was taken, so that the client can read it now.
    pub(crate) fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match self.codec()? {
            Codec::Gzip(gzip) => run_gzip(gzip, &[], FlushCompress::Sync, out),
            Codec::Zstd(zstd) => drain_zstd(out, |out| zstd.flush_stream(out)),
            Codec::Brotli(brotli) => run_brotli(
                brotli,
                BrotliEncoderOperation::BROTLI_OPERATION_FLUSH,
                &[],
                out,
            ),
        }
    }

    /// Ends the stream.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match self.codec()? {
            Codec::Gzip(gzip) => run_gzip(gzip, &[], FlushCompress::Finish, out),
            Codec::Zstd(zstd) => drain_zstd(out, |out| zstd.end_stream(out)),
            Codec::Brotli(brotli) => run_brotli(
                brotli,
                BrotliEncoderOperation::BROTLI_OPERATION_FINISH,
                &[],
                out,
            ),
        }
    }

    fn codec(&mut self) -> Result<&mut Codec, EncodeError> {
        self.codec
            .as_mut()
            .ok_or_else(|| EncodeError("the stream is over".to_owned()))
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // Put back as new; the thread may be ending.
        match self.codec.take() {
            Some(Codec::Gzip(mut gzip)) => {
                gzip.reset();
                keep(|pool| &mut pool.gzip, self.level, gzip);
            }
            Some(Codec::Zstd(zstd)) => keep_zstd(self.level, zstd),
            Some(Codec::Brotli(_)) | None => {} // brotli's has no reset
        }
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").finish_non_exhaustive()
    }
}

/// The encoders of this thread that are not in use, each with its level.
#[derive(Default)]
struct Pool {
    gzip: Vec<(u8, Compress)>,
    /// For whole bodies.
    whole_gzip: Vec<(u8, Compressor)>,
    zstd: Vec<(u8, CCtx<'static>)>,
    scratch: Vec<u8>,
}

thread_local! {
    static POOL: RefCell<Pool> = RefCell::default();
}

/// Takes an encoder of this level out of the pool.
fn take<T>(kind: impl Fn(&mut Pool) -> &mut Vec<(u8, T)>, level: u8) -> Option<T> {
    POOL.try_with(|pool| {
        let mut pool = pool.borrow_mut();
        let unused = kind(&mut pool);
        let at = unused.iter().rposition(|(of, _)| *of == level)?;
        Some(unused.swap_remove(at).1)
    })
    .ok()
    .flatten()
}

/// Puts an encoder into the pool, unless there are enough.
fn keep<T>(kind: impl Fn(&mut Pool) -> &mut Vec<(u8, T)>, level: u8, encoder: T) {
    let _ = POOL.try_with(|pool| {
        let mut pool = pool.borrow_mut();
        let unused = kind(&mut pool);
        if unused.len() < KEPT {
            unused.push((level, encoder));
        }
    });
}

fn take_zstd(level: u8) -> CCtx<'static> {
    if let Some(kept) = take(|pool| &mut pool.zstd, level) {
        return kept;
    }
    let mut zstd = CCtx::create();
    // Neither can be refused: the level is in its range, and so is the window.
    let _ = zstd.set_parameter(CParameter::CompressionLevel(level.into()));
    let _ = zstd.set_parameter(CParameter::WindowLog(WINDOW_BITS.into()));
    zstd
}

fn keep_zstd(level: u8, mut zstd: CCtx<'static>) {
    if zstd.reset(ResetDirective::SessionOnly).is_ok() {
        keep(|pool| &mut pool.zstd, level, zstd);
    }
}

/// An encoder whose tables and window fit `length`, if that is known.
fn new_brotli(level: u8, length: usize) -> Box<BrotliEncoderStateStruct<StandardAlloc>> {
    let mut brotli = Box::new(BrotliEncoderStateStruct::new(StandardAlloc::default()));
    let bits = match length {
        0 => u32::from(WINDOW_BITS),
        // The power of two that holds all of it; below 17 the encoder has no fast tables.
        length => (usize::BITS - length.leading_zeros()).clamp(17, 22),
    };
    brotli.set_parameter(BrotliEncoderParameter::BROTLI_PARAM_QUALITY, level.into());
    brotli.set_parameter(BrotliEncoderParameter::BROTLI_PARAM_LGWIN, bits);
    if let Ok(length @ 1..) = u32::try_from(length) {
        brotli.set_parameter(BrotliEncoderParameter::BROTLI_PARAM_SIZE_HINT, length);
    }
    brotli
}

/// Makes sure there is room for output.
fn grow(out: &mut Vec<u8>) {
    if out.capacity() - out.len() < STEP / 2 {
        out.reserve(STEP);
    }
}

fn run_gzip(
    gzip: &mut Compress,
    mut input: &[u8],
    flush: FlushCompress,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    loop {
        grow(out);
        let taken = gzip.total_in();
        let status = gzip
            .compress_vec(input, out, flush)
            .map_err(|error| EncodeError(error.to_string()))?;
        let taken = usize::try_from(gzip.total_in() - taken).unwrap_or(usize::MAX);
        input = input.get(taken..).unwrap_or_default();
        let is_full = out.len() == out.capacity();
        let is_over = match flush {
            FlushCompress::Finish => status == Status::StreamEnd,
            _ => input.is_empty() && !is_full, // a full buffer may not have been enough
        };
        if is_over {
            return Ok(());
        }
    }
}

fn zstd_error(code: usize) -> EncodeError {
    EncodeError(zstd::zstd_safe::get_error_name(code).to_owned())
}

/// Repeats a step of zstd until nothing is left inside.
fn drain_zstd(
    out: &mut Vec<u8>,
    mut step: impl FnMut(&mut OutBuffer<'_, Vec<u8>>) -> Result<usize, usize>,
) -> Result<(), EncodeError> {
    loop {
        grow(out);
        let at = out.len();
        let left = step(&mut OutBuffer::around_pos(out, at));
        if left.map_err(zstd_error)? == 0 {
            return Ok(());
        }
    }
}

/// Repeats steps of brotli until all input is taken and the operation is done.
fn run_brotli(
    brotli: &mut BrotliEncoderStateStruct<StandardAlloc>,
    operation: BrotliEncoderOperation,
    mut input: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    loop {
        // The encoder keeps its output until it is taken.
        let taken = step_brotli(brotli, operation, input, &mut [], &mut 0)?;
        input = &input[taken..];
        let mut length = 0; // asks for all of it
        let output = brotli.take_output(&mut length);
        out.extend_from_slice(&output[..length]);
        if input.is_empty() && !brotli.has_more_output() {
            return Ok(());
        }
    }
}

/// One step of brotli; how much input it took. `written` is how much of `out` is used.
fn step_brotli(
    brotli: &mut BrotliEncoderStateStruct<StandardAlloc>,
    operation: BrotliEncoderOperation,
    input: &[u8],
    out: &mut [u8],
    written: &mut usize,
) -> Result<usize, EncodeError> {
    let mut available_in = input.len();
    let mut taken = 0;
    let mut available_out = out.len();
    let is_fine = brotli.compress_stream(
        operation,
        &mut available_in,
        input,
        &mut taken,
        &mut available_out,
        out,
        written,
        &mut None,
        &mut |_, _, _, _| (),
    );
    is_fine
        .then_some(taken)
        .ok_or_else(|| EncodeError("brotli refused".to_owned()))
}

#[cfg(test)]
mod tests;
