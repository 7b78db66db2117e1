//! How many workers: reading, and what it comes to on a machine.

use std::fmt;

use super::types::Instances;

impl Instances {
    /// The most workers there can be: the scoreboard has a row for each.
    pub(crate) const MOST: u16 = 512;

    /// Reads `max`, `auto`, `0`, `-N`, `N` or `50%`.
    ///
    /// # Errors
    /// Says what was expected.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        match text {
            "max" | "auto" | "0" => return Ok(Self::Max),
            _ => {}
        }
        let parsed = if let Some(part) = text.strip_suffix('%') {
            number(part, 100)
                .and_then(|part| u8::try_from(part).ok())
                .map(Self::Percent)
        } else if let Some(fewer) = text.strip_prefix('-') {
            number(fewer, u16::MAX).map(Self::Fewer)
        } else {
            number(text, Self::MOST).map(Self::Exact)
        };
        parsed.ok_or_else(|| {
            format!(
                "{text:?} is not a number of workers: `max`, 1 to {most}, -1, -2 … (fewer than \
                 max, at least one), or 1% to 100%",
                most = Self::MOST
            )
        })
    }

    /// How many workers that is where `usable` cores can be used: at least one.
    pub(crate) fn resolve(self, usable: usize) -> u16 {
        let max = u16::try_from(usable)
            .unwrap_or(Self::MOST)
            .clamp(1, Self::MOST);
        match self {
            Self::Max => max,
            Self::Fewer(fewer) => max.saturating_sub(fewer).max(1),
            Self::Exact(exact) => exact,
            Self::Percent(part) => ((max * u16::from(part) + 50) / 100).max(1),
        }
    }
}

impl fmt::Display for Instances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Max => f.write_str("max"),
            Self::Fewer(fewer) => write!(f, "-{fewer}"),
            Self::Exact(exact) => write!(f, "{exact}"),
            Self::Percent(part) => write!(f, "{part}%"),
        }
    }
}

/// A number of plain digits from 1 to `most`.
fn number(text: &str, most: u16) -> Option<u16> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse()
        .ok()
        .filter(|number| (1..=most).contains(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_written() {
        for (text, expected, written) in [
            ("max", Instances::Max, "max"),
            ("auto", Instances::Max, "max"),
            ("0", Instances::Max, "max"),
            ("-1", Instances::Fewer(1), "-1"),
            ("-512", Instances::Fewer(512), "-512"),
            ("-999", Instances::Fewer(999), "-999"),
            ("1", Instances::Exact(1), "1"),
            (" 512 ", Instances::Exact(512), "512"),
            ("1%", Instances::Percent(1), "1%"),
            ("100%", Instances::Percent(100), "100%"),
        ] {
            assert_eq!(Instances::parse(text), Ok(expected), "{text}");
            assert_eq!(expected.to_string(), written);
        }
        for text in [
            "", "-", "-0", "--1", "513", "-65536", "0%", "101%", "%", "+2", "1.5", "MAX",
        ] {
            assert!(Instances::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_form_comes_to_a_number_of_workers() {
        for (instances, usable, expected) in [
            (Instances::Max, 8, 8),
            (Instances::Max, 0, 1),
            (Instances::Max, 100_000, 512),
            (Instances::Fewer(1), 8, 7),
            (Instances::Fewer(8), 8, 1),
            (Instances::Fewer(999), 8, 1),
            (Instances::Exact(64), 2, 64),
            (Instances::Percent(50), 8, 4),
            (Instances::Percent(50), 3, 2),
            (Instances::Percent(50), 512, 256),
            (Instances::Percent(1), 8, 1),
            (Instances::Percent(100), 8, 8),
        ] {
            assert_eq!(
                instances.resolve(usable),
                expected,
                "{instances} of {usable}"
            );
        }
    }
}
