//! Numbers: of things, bytes, milliseconds, workers.

use std::time::Duration;

use super::Kind;
use super::text::quote;
use crate::config::key::{Limits, Said};
use crate::config::types::{Instances, Ratio};
use crate::config::units;

/// A number of things.
pub(in crate::config) struct Count;

/// A number of bytes.
pub(in crate::config) struct Size;

/// A length of time.
pub(in crate::config) struct Span;

/// A part of a whole: 0.0 to 1.0.
pub(in crate::config) struct Part;

/// A number of workers.
pub(in crate::config) struct Workforce;

impl<T: TryFrom<u64> + Copy + Into<u64>> Kind<T> for Count {
    fn read(said: &Said, limits: &Limits<'_>) -> Result<T, String> {
        let number = match said {
            Said::Integer(number) => Some(*number),
            Said::Word(word) => word.trim().parse().ok(),
            _ => None,
        };
        let number = number.ok_or_else(|| said.not("an integer"))?;
        within(
            u64::try_from(number).ok(),
            &number.to_string(),
            limits,
            |n| n.to_string(),
        )
    }

    fn show(value: &T) -> String {
        (*value).into().to_string()
    }
}

impl<T: TryFrom<u64> + Copy + Into<u64>> Kind<T> for Size {
    fn read(said: &Said, limits: &Limits<'_>) -> Result<T, String> {
        let (bytes, shown) = match said {
            Said::Integer(number) => (u64::try_from(*number).ok(), number.to_string()),
            Said::Text(text) | Said::Word(text) => (Some(units::size(text)?), text.clone()),
            _ => {
                return Err(said.not("a size such as \"64k\" or \"1m\""));
            }
        };
        within(bytes, &shown, limits, units::show_bytes)
    }

    fn show(value: &T) -> String {
        quote(&units::show_bytes((*value).into()))
    }
}

impl Kind<Duration> for Span {
    fn read(said: &Said, limits: &Limits<'_>) -> Result<Duration, String> {
        let text = match said {
            Said::Text(text) | Said::Word(text) => text.clone(),
            // The same sentence as for a text without a unit.
            Said::Integer(number) => number.to_string(),
            _ => {
                return Err(said.not("a duration such as \"10s\" or \"500ms\""));
            }
        };
        let millis = u64::try_from(units::duration(&text)?.as_millis()).ok();
        within(millis, &text, limits, units::show_millis).map(Duration::from_millis)
    }

    fn show(value: &Duration) -> String {
        quote(&units::show_millis(
            u64::try_from(value.as_millis()).unwrap_or(u64::MAX),
        ))
    }
}

impl Kind<Ratio> for Part {
    fn read(said: &Said, _limits: &Limits<'_>) -> Result<Ratio, String> {
        const EXPECTED: &str = "a number from 0.0 to 1.0";
        let text = match said {
            Said::Fraction(text) | Said::Word(text) => text.trim().to_owned(),
            Said::Integer(number) => number.to_string(),
            _ => return Err(said.not(EXPECTED)),
        };
        let number = text.replace('_', "").parse::<f64>().ok();
        let part = number.filter(|number| (0.0..=1.0).contains(number));
        let part = part.ok_or_else(|| format!("expected {EXPECTED}, found {text}"))?;
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 0 to a million"
        )]
        let millionths = (part * f64::from(Ratio::ONE.0)).round() as u32;
        Ok(Ratio(millionths))
    }

    fn show(value: &Ratio) -> String {
        format!("{:?}", f64::from(value.0) / f64::from(Ratio::ONE.0))
    }
}

impl Kind<Instances> for Workforce {
    fn read(said: &Said, _limits: &Limits<'_>) -> Result<Instances, String> {
        match said {
            Said::Integer(number) => Instances::parse(&number.to_string()),
            Said::Text(text) | Said::Word(text) => Instances::parse(text),
            _ => Err(said.not("a number of workers")),
        }
    }

    fn show(value: &Instances) -> String {
        match value {
            Instances::Exact(exact) => exact.to_string(),
            Instances::Max | Instances::Fewer(_) | Instances::Percent(_) => {
                quote(&value.to_string())
            }
        }
    }
}

fn within<T: TryFrom<u64>>(
    number: Option<u64>,
    shown: &str,
    limits: &Limits<'_>,
    show: fn(u64) -> String,
) -> Result<T, String> {
    number
        .filter(|number| (limits.least..=limits.most).contains(number))
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| {
            format!(
                "{shown} is not between {} and {}",
                show(limits.least),
                show(limits.most)
            )
        })
}
