//! The formats of express-session 1.19 and connect-redis 9, to the byte: the cookie and its
//! signature, `Set-Cookie`, and the record in the store. And the cookie that is a whole session,
//! encrypted, which those do not have.

mod cookie;
mod cookies;
mod json;
mod options;
mod record;
mod scan;
mod sealed;
mod secrets;
mod set_cookie;
mod sid;
#[cfg(test)]
mod tests;

pub(super) use cookie::Cookie;
pub use cookie::{Priority, SameSite};
pub(super) use cookies::cookies;
pub(super) use json::to_json;
pub(super) use options::CookieOptions;
#[cfg(test)]
use record::Corrupt;
pub(super) use record::Record;
pub(super) use sealed::{LARGEST as LARGEST_COOKIE, SealError, Sealed};
#[cfg(test)]
use sealed::{OpenError, Opened};
pub(super) use secrets::Secrets;
pub(super) use set_cookie::{clear_cookie, set_cookie};
pub(super) use sid::Sid;

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970, as JavaScript's `Date` has them.
pub(super) type Millis = i64;

/// The last moment that is written, at the end of the year 9999: later ones have another form.
const LATEST: Millis = 253_402_207_200_999;

/// This moment.
pub(super) fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(LATEST)
    })
}
