//! How a message travels: four bytes of length, big-endian, then so many bytes of JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest message; longer ones are refused on both ends before memory is set aside.
pub(crate) const MAX_LENGTH: usize = 1 << 20;

/// The bytes of the length.
const HEAD: usize = 4;

/// Why a message cannot be sent or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// Longer than [`MAX_LENGTH`].
    #[error("the message of {0} bytes is longer than {MAX_LENGTH}")]
    TooLong(usize),
    /// Not the JSON that was expected.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// A message, ready to be written.
///
/// # Errors
/// When it is too long.
pub(crate) fn encode(message: &impl Serialize) -> Result<Vec<u8>, FrameError> {
    let mut bytes = vec![0; HEAD];
    serde_json::to_writer(&mut bytes, message)?;
    let length = bytes.len() - HEAD;
    match u32::try_from(length) {
        Ok(head) if length <= MAX_LENGTH => bytes[..HEAD].copy_from_slice(&head.to_be_bytes()),
        _ => return Err(FrameError::TooLong(length)),
    }
    Ok(bytes)
}

/// Puts messages together from whatever pieces they arrive in.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// What has arrived and is not a whole message yet.
    buffer: Vec<u8>,
}

impl Decoder {
    /// Takes the bytes that arrived.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// What was received and is no whole message yet.
    pub(super) fn rest(&self) -> &[u8] {
        &self.buffer
    }

    /// The next whole message, or none while it is incomplete.
    ///
    /// # Errors
    /// When the bytes are no message; the conversation cannot go on after that.
    pub(crate) fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        let Some(head) = self.buffer.first_chunk::<HEAD>() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes(*head)).unwrap_or(usize::MAX);
        if length > MAX_LENGTH {
            return Err(FrameError::TooLong(length));
        }
        let Some(body) = self.buffer.get(HEAD..HEAD + length) else {
            return Ok(None);
        };
        let message = serde_json::from_slice(body)?;
        self.buffer.drain(..HEAD + length);
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::control::Command;

    #[test]
    fn a_message_too_long_is_refused_on_both_ends() {
        let long = "x".repeat(MAX_LENGTH);
        assert!(matches!(encode(&long), Err(FrameError::TooLong(_))));
        let fits = "x".repeat(MAX_LENGTH - 2); // two quotation marks
        assert_eq!(encode(&fits).unwrap().len(), MAX_LENGTH + HEAD);
        let mut decoder = Decoder::default();
        decoder.push(&u32::MAX.to_be_bytes());
        assert!(matches!(
            decoder.next::<Value>(),
            Err(FrameError::TooLong(_))
        ));
    }

    #[test]
    fn two_messages_in_one_piece_come_out_one_by_one() {
        let mut bytes = encode(&Command::Ping).unwrap();
        bytes.extend(encode(&Command::List).unwrap());
        let mut decoder = Decoder::default();
        decoder.push(&bytes);
        assert_eq!(decoder.next().unwrap(), Some(Command::Ping));
        assert_eq!(decoder.next().unwrap(), Some(Command::List));
        assert_eq!(decoder.next::<Command>().unwrap(), None);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(pieces: Vec<Vec<u8>>) {
            let mut decoder = Decoder::default();
            for piece in pieces {
                decoder.push(&piece);
                if decoder.next::<Command>().is_err() {
                    break;
                }
            }
        }

        #[test]
        fn random_bodies_never_panic(body: Vec<u8>) {
            let mut decoder = Decoder::default();
            decoder.push(&u32::try_from(body.len()).unwrap().to_be_bytes());
            decoder.push(&body);
            prop_assert!(!matches!(decoder.next::<Command>(), Ok(None)));
        }

        #[test]
        fn a_message_survives_being_cut_anywhere(text: String, cut in 0_usize..64) {
            let bytes = encode(&text).unwrap();
            let cut = cut.min(bytes.len() - 1);
            let mut decoder = Decoder::default();
            decoder.push(&bytes[..cut]);
            prop_assert_eq!(decoder.next::<String>().unwrap(), None);
            decoder.push(&bytes[cut..]);
            prop_assert_eq!(decoder.next::<String>().unwrap(), Some(text));
        }
    }
}
