//! JSON as `JSON.stringify` writes it, and objects taken apart without being read.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::{Deserialize as Derive, Serialize};
use serde_json::Serializer;
use serde_json::ser::Formatter;
use serde_json::value::RawValue;

use super::scan;

/// Names, as UTF-8, and their values, as JSON.
pub(super) type Members = Vec<(Bytes, Bytes)>;

/// From this many members on, a name that was there before is looked up rather than searched for.
const MANY: usize = 32;

/// Takes an object apart; each name once, with its last value in the place of the first, as
/// `JSON.parse` does. `json` is a part of `source`, and so is what comes out.
///
/// # Errors
/// It is no object, or no JSON.
pub(super) fn members(source: &Bytes, json: &str) -> Result<Members, serde_json::Error> {
    if let Some(members) = scan::members(json).and_then(|found| plain(source, found)) {
        return Ok(members);
    }
    let Object(found) = serde_json::from_str(json)?;
    let is_many = found.len() >= MANY;
    let mut places = std::collections::HashMap::new();
    let mut members = Members::with_capacity(found.len());
    for (Name(name), value) in found {
        let name = match name {
            Cow::Borrowed(name) => source.slice_ref(name.as_bytes()),
            Cow::Owned(name) => Bytes::from(name),
        };
        let value = source.slice_ref(value.get().as_bytes());
        let earlier = match is_many {
            true => places.get(&name).copied(),
            false => members.iter().position(|(known, _)| *known == name),
        };
        match earlier {
            Some(earlier) => members[earlier].1 = value,
            None => {
                if is_many {
                    places.insert(name.clone(), members.len());
                }
                members.push((name, value));
            }
        }
    }
    Ok(members)
}

/// The members after the first ones, `json` being what follows those; nothing if they are not
/// plain.
pub(super) fn more_members(source: &Bytes, json: &str) -> Option<Members> {
    plain(source, scan::more_members(json))
}

/// The members that are found, if they are plain, as most are, and have no name twice.
fn plain<'a>(
    source: &Bytes,
    found: impl Iterator<Item = Option<scan::Member<'a>>>,
) -> Option<Members> {
    let mut members = Members::with_capacity(4);
    for member in found {
        let (name, value) = member?;
        let is_known = members.iter().any(|(known, _)| *known == name);
        if is_known || members.len() == MANY {
            return None;
        }
        members.push((source.slice_ref(name), source.slice_ref(value)));
    }
    Some(members)
}

/// Writes a member after others, or as the first one.
pub(super) fn write_member(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    if name
        .iter()
        .any(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f))
    {
        // A Vec takes everything, and names are UTF-8.
        let _ = serde_json::to_writer(&mut *out, str::from_utf8(name).unwrap_or_default());
    } else {
        out.push(b'"');
        out.extend_from_slice(name);
        out.push(b'"');
    }
    out.push(b':');
    out.extend_from_slice(value);
}

/// A value as `JSON.stringify` would write it; only that integers keep all their digits.
///
/// # Errors
/// It is nothing that JSON can say, such as a map whose keys are no texts.
pub(crate) fn to_json(value: &(impl Serialize + ?Sized)) -> Result<Bytes, serde_json::Error> {
    let mut out = Vec::with_capacity(64);
    value.serialize(&mut Serializer::with_formatter(&mut out, JavaScript))?;
    Ok(out.into())
}

struct Object<'a>(Vec<(Name<'a>, &'a RawValue)>);

#[derive(Derive)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Walk;

        impl<'de> Visitor<'de> for Walk {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(8);
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Object(members))
            }
        }

        deserializer.deserialize_map(Walk)
    }
}

/// Writes numbers as JavaScript does (`Number::toString` of ECMA-262); all else is the same.
struct JavaScript;

impl Formatter for JavaScript {
    fn write_f64<W: ?Sized + Write>(&mut self, out: &mut W, value: f64) -> io::Result<()> {
        write_number(out, &format!("{value:e}"))
    }

    fn write_f32<W: ?Sized + Write>(&mut self, out: &mut W, value: f32) -> io::Result<()> {
        write_number(out, &format!("{value:e}"))
    }
}

/// Writes a finite number that Rust wrote with its fewest digits: `-1.25e-7`.
fn write_number<W: ?Sized + Write>(out: &mut W, shortest: &str) -> io::Result<()> {
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some("0") => ("", "0"),
        Some(mantissa) => ("-", mantissa),
        None => ("", mantissa),
    };
    let digits: String = mantissa.chars().filter(|c| *c != '.').collect();
    let count = i32::try_from(digits.len()).unwrap_or(0);
    // Where the point stands: so many digits are before it.
    let point = exponent + 1;
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
    match point {
        _ if count <= point && point <= 21 => {
            write!(out, "{sign}{digits}{}", zeros(point - count))
        }
        1..=21 => {
            let (whole, fraction) = digits.split_at(usize::try_from(point).unwrap_or(0));
            write!(out, "{sign}{whole}.{fraction}")
        }
        -5..=0 => write!(out, "{sign}0.{}{digits}", zeros(-point)),
        _ => {
            let plus = if exponent < 0 { "" } else { "+" };
            write!(out, "{sign}{mantissa}e{plus}{exponent}")
        }
    }
}
