//! Layer: can the client read this in fewer bytes?

mod accept;
mod encoder;

#[allow(unused_imports, reason = "for the files layer")]
pub(crate) use accept::Accepted;
pub(crate) use encoder::{Encoder, encode};
