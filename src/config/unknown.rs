//! The sentences about keys that do not exist, with the one that was probably meant.

use super::key::Named;
use super::keys::{PREFIX, VARIABLE_OF_ADDRESSES, every_name, sections};
use super::suggest::{hint, nearest};

/// The sentence about a key that does not exist.
pub(super) fn unknown_key(section: &str, word: &str, is_table: bool) -> String {
    if section.is_empty() && is_table {
        let right = nearest(word, sections()).map(|right| format!("[{right}]"));
        return format!("unknown table [{word}]{}", hint(right.as_deref()));
    }
    let place = if section.is_empty() {
        String::new()
    } else {
        format!(" in [{section}]")
    };
    format!(
        "unknown key `{word}`{place}{}",
        hint(right_key(section, word).as_deref())
    )
}

/// The sentence about an `APPSERVER_…` variable without a key.
pub(super) fn unknown_variable(name: &str) -> String {
    format!(
        "there is no key for {name}{}",
        hint(right_variable(name).as_deref())
    )
}

/// The key that was probably meant: of the same name elsewhere, of a like name here, or elsewhere.
fn right_key(section: &str, word: &str) -> Option<String> {
    let all: Vec<Named> = every_name().collect();
    let elsewhere = |name: &str| {
        all.iter()
            .find(|named| named.name == name)
            .map(|named| named.path.clone())
    };
    let here = all
        .iter()
        .filter(|named| named.section == section)
        .map(|named| named.name);
    elsewhere(word)
        .or_else(|| nearest(word, here).map(str::to_owned))
        .or_else(|| nearest(word, all.iter().map(|named| named.name)).and_then(elsewhere))
}

fn right_variable(name: &str) -> Option<String> {
    let all = every_name()
        .map(|named| named.variable)
        .chain([VARIABLE_OF_ADDRESSES.to_owned()]);
    let all: Vec<String> = all.collect();
    // Without the beginning that all share, which would make any two of them look alike.
    let ends = all.iter().filter_map(|full| full.strip_prefix(PREFIX));
    let right = nearest(name.strip_prefix(PREFIX)?, ends)?;
    Some(format!("{PREFIX}{right}"))
}
