//! The date of a line, formatted once a second, without asking the system for it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

use crate::config::DateStyle;

/// Remembers the second it has formatted last.
#[derive(Debug)]
pub(super) struct DateCache {
    /// The same moment on both clocks: lines know the one that is cheap, and write the other.
    base: (Instant, SystemTime),
    /// When the second began that the texts stand for, and when it ends.
    from: Instant,
    until: Instant,
    clf: String,
    /// Without the fraction and what follows.
    iso: String,
    web: String,
}

impl DateCache {
    pub(super) fn new(base: (Instant, SystemTime)) -> Self {
        let mut dates = Self {
            base,
            from: base.0,
            until: base.0,
            clf: String::new(),
            iso: String::new(),
            web: String::new(),
        };
        dates.renew(base.0);
        dates
    }

    /// The beginning of the second that was formatted last.
    pub(super) fn last(&self) -> Instant {
        self.from
    }

    /// Compares the clocks anew: one of them may have been set.
    pub(super) fn adjust(&mut self, base: (Instant, SystemTime)) {
        self.base = base;
        self.renew(base.0);
    }

    /// Appends the date at `now`.
    pub(super) fn write(&mut self, style: DateStyle, now: Instant, out: &mut Vec<u8>) {
        if now >= self.until || now < self.from {
            self.renew(now);
        }
        match style {
            DateStyle::Clf => out.extend_from_slice(self.clf.as_bytes()),
            DateStyle::Web => out.extend_from_slice(self.web.as_bytes()),
            DateStyle::Iso => {
                out.extend_from_slice(self.iso.as_bytes());
                let millis = now.duration_since(self.from).subsec_millis();
                out.extend([100, 10, 1].map(|scale| digit(millis / scale)));
                out.push(b'Z');
            }
        }
    }

    fn renew(&mut self, now: Instant) {
        let (instant, system) = self.base;
        let since = system.duration_since(UNIX_EPOCH).unwrap_or_default();
        let since = since + now.saturating_duration_since(instant);
        let since = since.saturating_sub(instant.saturating_duration_since(now));
        let into = Duration::from_nanos(since.subsec_nanos().into());
        self.from = now.checked_sub(into).unwrap_or(now);
        self.until = self.from + Duration::from_secs(1);
        let second = i64::try_from(since.as_secs()).unwrap_or(0);
        let time = Timestamp::from_second(second).unwrap_or(Timestamp::MAX);
        self.clf = time.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(); // UTC, as morgan has it
        self.iso = time.strftime("%Y-%m-%dT%H:%M:%S.").to_string();
        self.web = time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    }
}

fn digit(value: u32) -> u8 {
    b'0' + u8::try_from(value % 10).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formats_are_morgans() {
        let start = Instant::now();
        let system = UNIX_EPOCH + Duration::from_millis(1_795_281_421_161);
        let mut dates = DateCache::new((start, system));
        let mut at = |style, millis| {
            let mut out = Vec::new();
            dates.write(style, start + Duration::from_millis(millis), &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(at(DateStyle::Clf, 0), "21/Nov/2026:17:17:01 +0000");
        assert_eq!(at(DateStyle::Iso, 0), "2026-11-21T17:17:01.161Z");
        assert_eq!(at(DateStyle::Web, 838), "Sat, 21 Nov 2026 17:17:01 GMT");
        assert_eq!(at(DateStyle::Clf, 839), "21/Nov/2026:17:17:02 +0000");
        assert_eq!(at(DateStyle::Iso, 60_000), "2026-11-21T17:18:01.161Z");
        assert_eq!(at(DateStyle::Iso, 1), "2026-11-21T17:17:01.162Z");
    }

    #[test]
    fn a_clock_that_is_set_is_followed() {
        let start = Instant::now();
        let mut dates = DateCache::new((start, UNIX_EPOCH));
        dates.adjust((start, UNIX_EPOCH + Duration::from_secs(3600)));
        let mut out = Vec::new();
        dates.write(DateStyle::Clf, start, &mut out);
        assert_eq!(out, b"01/Jan/1970:01:00:00 +0000");
    }
}
