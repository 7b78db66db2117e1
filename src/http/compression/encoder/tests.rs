//! What goes in comes out again, whole and in pieces, with every encoder.

use std::io::Read;

use proptest::prelude::*;

use super::*;

fn decode(encoding: Encoding, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match encoding {
        Encoding::Gzip => drop(
            flate2::read::GzDecoder::new(bytes)
                .read_to_end(&mut out)
                .unwrap(),
        ),
        Encoding::Zstd => out = zstd::stream::decode_all(bytes).unwrap(),
        Encoding::Brotli => {
            brotli::BrotliDecompress(&mut &bytes[..], &mut out).unwrap();
        }
    }
    out
}

/// What of a stream that is not over can be read already.
fn decode_so_far(encoding: Encoding, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut room = vec![0; 1 << 16];
    let mut reader: Box<dyn Read> = match encoding {
        Encoding::Gzip => Box::new(flate2::read::GzDecoder::new(bytes)),
        Encoding::Zstd => Box::new(zstd::stream::read::Decoder::new(bytes).unwrap()),
        Encoding::Brotli => return brotli_so_far(bytes),
    };
    while let Ok(count @ 1..) = reader.read(&mut room) {
        out.extend_from_slice(&room[..count]);
    }
    out
}

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

fn level(encoding: Encoding) -> u8 {
    match encoding {
        Encoding::Zstd | Encoding::Gzip => 3,
        Encoding::Brotli => 4,
    }
}

fn text(length: usize) -> Vec<u8> {
    let words = ["alpha ", "beta ", "gamma ", "delta\n", "0123456789 "];
    let mut text = Vec::new();
    let mut n = 1_usize;
    while text.len() < length {
        n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        text.extend_from_slice(words[(n >> 33) % words.len()].as_bytes());
    }
    text.truncate(length);
    text
}

#[test]
fn a_whole_body_comes_back() {
    for encoding in Encoding::ALL {
        for length in [1024, 20_000, 256 * 1024, 1 << 20] {
            let text = text(length);
            let encoded = encode(encoding, level(encoding), &text).expect("it becomes smaller");
            assert!(
                encoded.len() < length / 2,
                "{encoding:?} {length}: {}",
                encoded.len()
            );
            assert_eq!(decode(encoding, &encoded), text);
        }
    }
}

#[test]
fn what_would_not_be_smaller_is_not_encoded() {
    for encoding in Encoding::ALL {
        for input in [&b""[..], b"a", b"abcdefgh"] {
            assert_eq!(
                encode(encoding, level(encoding), input),
                None,
                "{encoding:?}"
            );
        }
        // After a refusal the encoder is as good as new.
        let text = text(5000);
        let encoded = encode(encoding, level(encoding), &text).unwrap();
        assert_eq!(decode(encoding, &encoded), text);
    }
}

#[test]
fn every_level_that_can_be_configured_works() {
    let text = text(3000);
    for (encoding, levels) in [
        (Encoding::Zstd, 1..=19),
        (Encoding::Brotli, 0..=11),
        (Encoding::Gzip, 1..=9),
    ] {
        for level in levels {
            let encoded = encode(encoding, level, &text).unwrap();
            assert_eq!(decode(encoding, &encoded), text, "{encoding:?} {level}");
        }
    }
}

#[test]
fn a_flush_lets_the_client_read_all_that_was_written() {
    for encoding in Encoding::ALL {
        let mut encoder = Encoder::new(encoding, level(encoding));
        let (mut out, mut written) = (Vec::new(), Vec::new());
        for n in 0..50 {
            let event = format!("data: event {n}\n\n");
            encoder.write(event.as_bytes(), &mut out).unwrap();
            encoder.flush(&mut out).unwrap();
            written.extend_from_slice(event.as_bytes());
            assert_eq!(decode_so_far(encoding, &out), written, "{encoding:?}");
        }
        encoder.finish(&mut out).unwrap();
        assert_eq!(decode(encoding, &out), written);
    }
}

#[test]
fn an_encoder_that_was_left_in_the_middle_starts_afresh() {
    for encoding in Encoding::ALL {
        let mut left = Encoder::new(encoding, level(encoding));
        left.write(b"of another stream", &mut Vec::new()).unwrap();
        drop(left);
        let mut encoder = Encoder::new(encoding, level(encoding));
        let mut out = Vec::new();
        encoder.write(b"hello", &mut out).unwrap();
        encoder.finish(&mut out).unwrap();
        assert_eq!(decode(encoding, &out), b"hello");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_pieces_come_back(
        pieces in proptest::collection::vec(
            (proptest::collection::vec(any::<u8>(), 0..3000), 1..40_usize, any::<bool>()), 0..8)
    ) {
        for encoding in Encoding::ALL {
            let mut encoder = Encoder::new(encoding, level(encoding));
            let (mut out, mut all) = (Vec::new(), Vec::new());
            for (bytes, times, flush) in &pieces {
                let piece = bytes.repeat(*times);
                encoder.write(&piece, &mut out).unwrap();
                if *flush {
                    encoder.flush(&mut out).unwrap();
                }
                all.extend(piece);
            }
            encoder.finish(&mut out).unwrap();
            prop_assert_eq!(decode(encoding, &out), all);
        }
    }
}
