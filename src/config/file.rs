//! The layer of the TOML file: walks its tables, and notes everything that it cannot place.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::key::{Key, Origin, Said, Statement};
use super::keys::{CONFIG_KEYS, LISTEN, LISTEN_KEYS, sections};
use super::problem::{Place, Problem};
use super::raw::{Address, Raw};
use super::types::Listen;
use super::unknown::unknown_key;

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
    let syntax: Vec<Problem> = errors.iter().map(|error| reader.syntax(error)).collect();
    // What the parser made of a line that it could not read says nothing about the operator, and
    // it may have swallowed the end of the line.
    let is_real = |found: &Problem| !syntax.iter().any(|e| found.place.is_just_after(&e.place));
    reader.problems.retain(is_real);
    problems.extend(syntax);
    problems.append(&mut reader.problems);
    reader.raw
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
        match self.statement(CONFIG_KEYS, section, name, value, &self.raw.keys) {
            Ok(statement) => self.raw.keys.push(statement),
            Err(problem) => self.problems.push(problem),
        }
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
            match self.statement(LISTEN_KEYS, LISTEN, name, value, &keys) {
                Ok(statement) => keys.push(statement),
                Err(problem) => self.problems.push(problem),
            }
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

    /// One assignment, after the earlier ones of its table.
    fn statement<T>(
        &self,
        keys: &'static [Key<T>],
        section: &str,
        name: &Name<'_>,
        value: &Value<'_>,
        earlier: &[Statement<T>],
    ) -> Result<Statement<T>, Problem> {
        let (word, origin) = (name.get_ref(), self.origin(name.span().start));
        let key = keys
            .iter()
            .find(|key| key.is_named(section, word))
            .ok_or_else(|| {
                origin.problem(unknown_key(section, word, value.get_ref().is_table()))
            })?;
        if earlier.iter().any(|other| std::ptr::eq(other.key, key)) {
            let names: Vec<&str> = key.names().collect();
            return Err(origin.problem(format!(
                "`{}` are one key, said twice",
                names.join("` and `")
            )));
        }
        let origin = self.origin(value.span().start);
        Ok(Statement {
            key,
            said: said(value.get_ref()),
            origin,
        })
    }

    fn syntax(&self, error: &toml::de::Error) -> Problem {
        let offset = error.span().map_or(self.text.len(), |span| span.start);
        self.origin(offset)
            .problem(error.message().replace('\n', " "))
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
        DeValue::Float(float) => Said::Fraction(float.as_str().to_owned()),
        DeValue::Boolean(boolean) => Said::Boolean(*boolean),
        DeValue::Datetime(_) => Said::Other("a date"),
        DeValue::Table(table) => {
            let entries = in_order(table).into_iter().map(|(name, value)| {
                let text = value.get_ref().as_str()?.to_owned();
                Some((name.get_ref().to_string(), text))
            });
            let entries: Option<Vec<(String, String)>> = entries.collect();
            entries.map_or(
                Said::Other("a table of other things than texts"),
                Said::Table,
            )
        }
    }
}
