//! The formats against what the npm packages write and read.

mod cookie;
mod record;
mod sealed;
mod secrets;

use bytes::Bytes;

use super::*;
use crate::config::{Secret, Session};

/// 2026-11-21T17:17:01.161Z.
const NOW: Millis = 1_795_281_421_161;

fn secrets(texts: &[&str]) -> Vec<Secret> {
    texts.iter().map(|text| Secret::new(*text)).collect()
}

/// The record with this JSON, its cookie being the usual one if it has none.
fn parsed(json: &str) -> Record {
    Record::parse(&Bytes::copy_from_slice(json.as_bytes()), &usual()).unwrap()
}

fn text(bytes: &Bytes) -> &str {
    str::from_utf8(bytes).unwrap()
}

/// The cookies of new sessions, as express-session has them when nobody said anything.
fn usual() -> CookieOptions {
    let config = crate::config::Session {
        secure: crate::config::CookieSecure::No,
        ..Default::default()
    };
    CookieOptions::new(&config, false)
}
