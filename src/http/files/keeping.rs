//! How long clients may keep a file: `Cache-Control` and `Expires`, as nginx's `expires` has them.

use std::cell::RefCell;
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{CACHE_CONTROL, EXPIRES, HeaderValue};

use super::glob;
use crate::config::{Expires, StaticFiles};

/// What is said about files that never change: a year, as long as HTTP recommends at most.
const NEVER_CHANGES: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// The date of `Expires`, written once a second.
#[derive(Debug, Default)]
pub(super) struct Keeping {
    last: RefCell<Option<(u64, HeaderValue)>>,
}

/// Writes what does not depend on the time into a head; how long the file may be kept, where the
/// head must say from when on.
pub(super) fn prepare(head: &mut HeaderMap, rules: &StaticFiles, path: &str) -> Option<Duration> {
    if rules
        .immutable
        .iter()
        .any(|glob| glob::is_match(glob, path))
    {
        head.insert(CACHE_CONTROL, NEVER_CHANGES);
        return None;
    }
    let (control, expires) = match rules.expires {
        Expires::Off => return None,
        Expires::Epoch => ("no-cache", "Thu, 01 Jan 1970 00:00:01 GMT"),
        Expires::Max => ("max-age=315360000", "Thu, 31 Dec 2037 23:55:55 GMT"),
        Expires::After(time) => {
            let control = format!("max-age={}", time.as_secs());
            head.extend(
                HeaderValue::try_from(control)
                    .ok()
                    .map(|control| (CACHE_CONTROL, control)),
            );
            return Some(time);
        }
    };
    head.insert(CACHE_CONTROL, HeaderValue::from_static(control));
    head.insert(EXPIRES, HeaderValue::from_static(expires));
    None
}

impl Keeping {
    /// Writes the date until which the client may keep it. All files have the same rule.
    pub(super) fn date(&self, head: &mut HeaderMap, time: Duration) {
        let end = SystemTime::now() + time;
        let second = end
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let mut last = self.last.borrow_mut();
        if last.as_ref().is_none_or(|(of, _)| *of != second) {
            let written = HeaderValue::try_from(httpdate::fmt_http_date(end));
            *last = written.ok().map(|written| (second, written));
        }
        if let Some((_, written)) = &*last {
            head.insert(EXPIRES, written.clone());
        }
    }
}
