//! The layer of the TOML file: walks its tables, and notes everything that it cannot place.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::key::{Key, Origin, Said, Statement};
use super::keys::{CONFIG_KEYS, LISTEN, LISTEN_KEYS, sections};
use super::problem::{Place, Problem};
use super::raw::{Address, Raw};
use super::suggest::{hint, nearest};
use super::types::Listen;

/// Reads `text`, the content of the file that the operator calls `name`, which is in `folder`.
pub(super) fn read(name: &str, folder: &Path, text: &str, problems: &mut Vec<Problem>) -> Raw {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader {
        name,
        folder,
        text,
        raw: Raw::default(),
        problems: Vec::new(),
    };
    reader.top(table.get_ref());
    let found = reader.problems;
    let (raw, place) = (reader.raw, |offset: usize| {
        Place::in_file(name, text, offset)
    });
    let syntax: Vec<Problem> = errors
        .iter()
        .map(|error| {
            let offset = error.span().map_or(text.len(), |span| span.start);
            Problem::new(place(offset), error.message().replace('\n', " "))
        })
        .collect();
    // What the parser made of a line that it could not read says nothing about the operator.
    let is_real = |problem: &Problem| !syntax.iter().any(|s| s.place.is_beside(&problem.place));
    problems.extend(found.into_iter().filter(is_real));
    problems.extend(syntax);
    raw
}

/// The walk through one file.
struct Reader<'a> {
    name: &'a str,
    folder: &'a Path,
    text: &'a str,
    raw: Raw,
    problems: Vec<Problem>,
}

type Name<'a> = Spanned<DeString<'a>>;
type Value<'a> = Spanned<DeValue<'a>>;

impl Reader<'_> {
    fn top(&mut self, table: &DeTable<'_>) {
        for (name, value) in in_order(table) {
            match name.get_ref().as_ref() {
                LISTEN => self.listen(value),
                section if sections().contains(&section) => self.section(section, name, value),
                _ => self.config_key("", name, value),
            }
        }
    }

    fn section(&mut self, section: &str, name: &Name<'_>, value: &Value<'_>) {
        let Some(table) = value.get_ref().as_table() else {
            let what = format!("`{section}` is a table; its keys go under [{section}]");
            return self.problem(name.span().start, what);
        };
        for (name, value) in in_order(table) {
            self.config_key(section, name, value);
        }
    }

    fn config_key(&mut self, section: &str, name: &Name<'_>, value: &Value<'_>) {
        let earlier = std::mem::take(&mut self.raw.keys);
        self.raw.keys = self.statement(CONFIG_KEYS, section, name, value, earlier);
    }

    /// `listen = ["address", …]`, or `[listen."address"]`.
    fn listen(&mut self, value: &Value<'_>) {
        match value.get_ref() {
            DeValue::Table(table) => {
                for (name, value) in in_order(table) {
                    self.listen_table(name, value);
                }
            }
            DeValue::Array(list) => {
                for value in list {
                    self.listen_text(value);
                }
            }
            DeValue::String(_) => self.listen_text(value),
            _ => self.listen_text(value),
        }
    }

    fn listen_table(&mut self, name: &Name<'_>, value: &Value<'_>) {
        let Some(table) = value.get_ref().as_table() else {
            let what = format!(
                "`{}` must be in the table of an address, such as [listen.\"127.0.0.1:8080\"]",
                name.get_ref()
            );
            return self.problem(name.span().start, what);
        };
        let mut keys: Vec<Statement<Listen>> = Vec::new();
        for (name, value) in in_order(table) {
            keys = self.statement(LISTEN_KEYS, LISTEN, name, value, keys);
        }
        self.address(name.get_ref(), name.span().start, keys);
    }

    fn listen_text(&mut self, value: &Value<'_>) {
        match said(value.get_ref()) {
            Said::Text(text) => self.address(&text, value.span().start, Vec::new()),
            other => self.problem(value.span().start, other.not("an address")),
        }
    }

    fn address(&mut self, text: &str, offset: usize, keys: Vec<Statement<Listen>>) {
        let address = Address {
            text: text.to_owned(),
            origin: self.origin(offset),
            keys,
        };
        self.raw.addresses.push(address);
    }

    /// Adds one assignment to the earlier ones of its table.
    fn statement<T>(
        &mut self,
        keys: &'static [Key<T>],
        section: &str,
        name: &Name<'_>,
        value: &Value<'_>,
        mut earlier: Vec<Statement<T>>,
    ) -> Vec<Statement<T>> {
        let (word, offset) = (name.get_ref(), name.span().start);
        match keys.iter().find(|key| key.is_named(section, word)) {
            None => self.problem(offset, unknown(section, word, value.get_ref())),
            Some(key) if earlier.iter().any(|other| std::ptr::eq(other.key, key)) => {
                let names: Vec<&str> = key.names().collect();
                self.problem(
                    offset,
                    format!("`{}` are one key, said twice", names.join("` and `")),
                );
            }
            Some(key) => earlier.push(Statement {
                key,
                said: said(value.get_ref()),
                origin: self.origin(value.span().start),
            }),
        }
        earlier
    }

    fn origin(&self, offset: usize) -> Origin {
        Origin {
            place: Place::in_file(self.name, self.text, offset),
            base: self.folder.to_owned(),
        }
    }

    fn problem(&mut self, offset: usize, what: String) {
        self.problems.push(self.origin(offset).problem(what));
    }
}

/// The entries of a table as the file has them; the table itself sorts them by name.
fn in_order<'a, 'i>(table: &'a DeTable<'i>) -> Vec<(&'a Name<'i>, &'a Value<'i>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    entries
}

fn said(value: &DeValue<'_>) -> Said {
    match value {
        DeValue::String(text) => Said::Text(text.to_string()),
        DeValue::Integer(integer) => {
            let number = i64::from_str_radix(integer.as_str(), integer.radix());
            number.map_or(Said::Other("an integer that is too large"), Said::Integer)
        }
        DeValue::Array(list) => {
            let texts = list
                .iter()
                .map(|value| value.get_ref().as_str().map(str::to_owned));
            let texts: Option<Vec<String>> = texts.collect();
            texts.map_or(Said::Other("a list of other things than texts"), Said::List)
        }
        DeValue::Float(_) => Said::Other("a number with a fraction"),
        DeValue::Boolean(_) => Said::Other("a boolean"),
        DeValue::Datetime(_) => Said::Other("a date"),
        DeValue::Table(_) => Said::Other("a table"),
    }
}

/// The sentence about a key that does not exist.
fn unknown(section: &str, word: &str, value: &DeValue<'_>) -> String {
    if section.is_empty() && value.is_table() {
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

/// The key that was probably meant: of the same name elsewhere, of a like name here, or elsewhere.
fn right_key(section: &str, word: &str) -> Option<String> {
    let all: Vec<(&str, &str, String)> = CONFIG_KEYS
        .iter()
        .flat_map(|key| key.names().map(|name| (key.section, name, key.path())))
        .chain(
            LISTEN_KEYS
                .iter()
                .flat_map(|key| key.names().map(|name| (key.section, name, key.path()))),
        )
        .collect();
    let elsewhere = |name: &str| {
        all.iter()
            .find(|(_, own, _)| *own == name)
            .map(|(_, _, path)| path.clone())
    };
    elsewhere(word)
        .or_else(|| {
            let here = all
                .iter()
                .filter(|(own, _, _)| *own == section)
                .map(|(_, name, _)| *name);
            nearest(word, here).map(str::to_owned)
        })
        .or_else(|| nearest(word, all.iter().map(|(_, name, _)| *name)).and_then(elsewhere))
}
