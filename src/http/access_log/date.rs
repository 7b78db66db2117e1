//! The date of a line, formatted once a second.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// Remembers the second it has formatted last.
#[derive(Debug)]
pub(super) struct DateCache {
    second: i64,
    text: String,
}

impl DateCache {
    pub(super) fn new() -> Self {
        Self {
            second: 0,
            text: format(0),
        }
    }

    /// `21/Nov/2026:17:17:01 +0000`: the Common Log Format, in UTC as morgan writes it.
    pub(super) fn clf(&mut self, now: SystemTime) -> &str {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let second = i64::try_from(since.as_secs()).unwrap_or(0);
        if second != self.second {
            *self = Self {
                second,
                text: format(second),
            };
        }
        &self.text
    }
}

fn format(second: i64) -> String {
    let time = Timestamp::from_second(second).unwrap_or(Timestamp::MAX);
    time.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_date_is_that_of_the_common_log_format() {
        let mut dates = DateCache::new();
        let start = UNIX_EPOCH + Duration::from_millis(1_795_281_421_999);
        assert_eq!(dates.clf(UNIX_EPOCH), "01/Jan/1970:00:00:00 +0000");
        assert_eq!(dates.clf(start), "21/Nov/2026:17:17:01 +0000");
        assert_eq!(
            dates.clf(start + Duration::from_millis(1)),
            "21/Nov/2026:17:17:02 +0000"
        );
    }
}
