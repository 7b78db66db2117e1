//! Durations (`1m30s`) and sizes (`64k`): reading, and the shortest way to write them.

use std::time::Duration;

/// The units of time in milliseconds, the largest first: also the order they must be written in.
const TIME: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The units of size in bytes, as nginx has them: powers of 1024.
const SIZE: [(&str, u64); 3] = [("g", 1 << 30), ("m", 1 << 20), ("k", 1 << 10)];

/// Reads `10s`, `500ms`, `1m30s`.
///
/// # Errors
/// Says what was expected.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let mut rest = text.trim();
    if !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!(
            "the duration {rest} has no unit; did you mean `{rest}s`?"
        ));
    }
    let wrong = || format!("{text:?} is not a duration such as `10s`, `500ms` or `1m30s`");
    let mut total = 0_u64;
    let mut smaller_than = u64::MAX;
    while !rest.is_empty() {
        let (number, after) = split_number(rest).ok_or_else(wrong)?;
        let length = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(length);
        let (_, scale) = TIME
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(wrong)?;
        if *scale >= smaller_than {
            return Err(wrong());
        }
        let part = number.checked_mul(*scale);
        total = part
            .and_then(|part| total.checked_add(part))
            .ok_or_else(wrong)?;
        (rest, smaller_than) = (after, *scale);
    }
    if smaller_than == u64::MAX {
        Err(wrong())
    } else {
        Ok(Duration::from_millis(total))
    }
}

/// Reads `64k`, `1m`, `1g`, `100`.
///
/// # Errors
/// Says what was expected.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is not a size such as `64k`, `1m` or `100` (bytes)");
    let (number, unit) = split_number(text.trim()).ok_or_else(wrong)?;
    let scale = match unit {
        "" => 1,
        unit => {
            let found = SIZE
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(unit));
            found.ok_or_else(wrong)?.1
        }
    };
    number.checked_mul(scale).ok_or_else(wrong)
}

/// Writes milliseconds in the largest unit that leaves no rest.
pub(super) fn show_millis(millis: u64) -> String {
    let (unit, scale) = largest(&TIME, millis).unwrap_or(("ms", 1));
    format!("{}{unit}", millis / scale)
}

/// Writes bytes in the largest unit that leaves no rest.
pub(super) fn show_bytes(bytes: u64) -> String {
    let (unit, scale) = largest(&SIZE, bytes).unwrap_or(("", 1));
    format!("{}{unit}", bytes / scale)
}

fn largest(units: &[(&'static str, u64)], value: u64) -> Option<(&'static str, u64)> {
    units
        .iter()
        .copied()
        .find(|(_, scale)| value > 0 && value.is_multiple_of(*scale))
}

fn split_number(text: &str) -> Option<(u64, &str)> {
    let length = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at(length);
    Some((digits.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_duration_is_read() {
        for (text, millis) in [
            ("10s", 10_000),
            ("500ms", 500),
            ("0ms", 0),
            ("1m", 60_000),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
            ("1m30s", 90_000),
            ("1d2h3m4s5ms", 93_784_005),
            (" 5s ", 5_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "", " ", "s", "-1s", "1.5s", "1 s", "1S", "1s1s", "1s1m", "10x", "1m30",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert!(duration("18446744073709551615d").is_err(), "too large");
        assert_eq!(
            duration("30"),
            Err("the duration 30 has no unit; did you mean `30s`?".to_owned())
        );
    }

    #[test]
    fn every_form_of_a_size_is_read() {
        for (text, bytes) in [
            ("100", 100),
            ("0", 0),
            ("64k", 65_536),
            ("1M", 1 << 20),
            ("2g", 2 << 30),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "k", "-1", "1.5m", "1kb", "1t", "18446744073709551615g"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_written_is_short_and_reads_the_same() {
        for (millis, text) in [
            (0, "0ms"),
            (500, "500ms"),
            (75_000, "75s"),
            (60_000, "1m"),
            (86_400_000, "1d"),
        ] {
            assert_eq!(show_millis(millis), text);
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)));
        }
        for (bytes, text) in [(0, "0"), (100, "100"), (16_384, "16k"), (1 << 20, "1m")] {
            assert_eq!(show_bytes(bytes), text);
            assert_eq!(size(text), Ok(bytes));
        }
    }
}
