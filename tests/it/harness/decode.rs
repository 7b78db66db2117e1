//! Reads what a server has encoded, with the decoders that clients use.

use std::io::Read;

use super::Response;

/// The body as the site made it; fails the test when it is not a whole stream.
pub(crate) fn decoded(response: &Response) -> Vec<u8> {
    let coding = response.header("content-encoding").unwrap_or("identity");
    decode(coding, &response.body).unwrap_or_else(|error| panic!("{error} in {response:?}"))
}

/// A whole stream.
pub(crate) fn decode(coding: &str, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::new();
    match coding {
        "gzip" => drop(flate2::read::GzDecoder::new(bytes).read_to_end(&mut out)?),
        "br" => drop(brotli::Decompressor::new(bytes, 4096).read_to_end(&mut out)?),
        "zstd" => out = zstd::stream::decode_all(bytes)?,
        "identity" => out = bytes.to_vec(),
        other => panic!("an encoding that nobody asked for: {other}"),
    }
    Ok(out)
}

/// What can be read of a stream that is not over.
pub(crate) fn decode_so_far(coding: &str, bytes: &[u8]) -> Vec<u8> {
    let mut reader: Box<dyn Read> = match coding {
        "gzip" => Box::new(flate2::read::GzDecoder::new(bytes)),
        "zstd" => Box::new(zstd::stream::read::Decoder::new(bytes).expect("it has memory")),
        "br" => return brotli_so_far(bytes),
        _ => return bytes.to_vec(),
    };
    let mut out = Vec::new();
    let mut room = vec![0; 1 << 16];
    while let Ok(count @ 1..) = reader.read(&mut room) {
        out.extend_from_slice(&room[..count]);
    }
    out
}

/// The reader of brotli gives nothing away before it has enough.
fn brotli_so_far(bytes: &[u8]) -> Vec<u8> {
    let alloc = brotli::enc::StandardAlloc::default;
    let mut state = brotli::BrotliState::new(alloc(), alloc(), alloc());
    let mut out = vec![0; 1 << 16];
    let (mut left, mut taken, mut room, mut written) = (bytes.len(), 0, out.len(), 0);
    brotli::BrotliDecompressStream(
        &mut left,
        &mut taken,
        bytes,
        &mut room,
        &mut written,
        &mut out,
        &mut 0,
        &mut state,
    );
    out.truncate(written);
    out
}
