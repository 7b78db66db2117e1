//! Taking plain JSON apart in one pass: a session is read with every request that asks for it.
//!
//! Plain is what has no escapes, no exponents and no great depth. What is not plain, or no JSON at
//! all, is left to `serde_json`: all that is taken here, that would take as well.

/// How deep values may lie within each other.
const DEEPEST: u32 = 16;

/// A name without its quotes, and its value.
pub(super) type Member<'a> = (&'a [u8], &'a [u8]);

/// The members of an object, in their order, each as it is written; nothing if `json` does not
/// begin as one. A member that is nothing, which is the last one, says that all of it is not plain.
pub(super) fn members(json: &str) -> Option<impl Iterator<Item = Option<Member<'_>>>> {
    let mut scan = Scan {
        json: json.as_bytes(),
        at: 0,
    };
    scan.space();
    scan.byte(b'{')?;
    Some(scan.members(true))
}

/// The same for an object whose first members were read already: `json` is what follows them.
pub(super) fn more_members(json: &str) -> impl Iterator<Item = Option<Member<'_>>> {
    let scan = Scan {
        json: json.as_bytes(),
        at: 0,
    };
    scan.members(false)
}

struct Scan<'a> {
    json: &'a [u8],
    /// How far it was read.
    at: usize,
}

impl<'a> Scan<'a> {
    fn members(mut self, mut is_first: bool) -> impl Iterator<Item = Option<Member<'a>>> {
        let mut is_over = false;
        std::iter::from_fn(move || {
            if is_over {
                return None;
            }
            let next = self.next_member(is_first);
            is_first = false;
            is_over = !matches!(next, Some(Some(_)));
            match next {
                Some(None) => None,
                other => Some(other.flatten()),
            }
        })
    }

    /// The next member; inside, nothing is the end of the object and of all.
    fn next_member(&mut self, is_first: bool) -> Option<Option<Member<'a>>> {
        self.space();
        if self.byte(b'}').is_some() {
            self.space();
            return (self.at == self.json.len()).then_some(None);
        }
        if !is_first {
            self.byte(b',')?;
            self.space();
        }
        let name = self.string()?;
        self.space();
        self.byte(b':')?;
        self.space();
        let start = self.at;
        self.value(0)?;
        Some(Some((name, &self.json[start..self.at])))
    }

    fn peek(&self) -> Option<u8> {
        self.json.get(self.at).copied()
    }

    /// Reads this byte, if it is the next one.
    fn byte(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Reads a text; what is between its quotes.
    fn string(&mut self) -> Option<&'a [u8]> {
        self.byte(b'"')?;
        let rest = &self.json[self.at..];
        let length = rest
            .iter()
            .position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f))?;
        self.at += length;
        self.byte(b'"')?;
        Some(&rest[..length])
    }

    fn value(&mut self, depth: u32) -> Option<()> {
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'-' | b'0'..=b'9' => self.number(),
            b'n' => self.word(b"null"),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'{' if depth < DEEPEST => self.list(b'}', |scan| {
                scan.string()?;
                scan.space();
                scan.byte(b':')?;
                scan.space();
                scan.value(depth + 1)
            }),
            b'[' if depth < DEEPEST => self.list(b']', |scan| scan.value(depth + 1)),
            _ => None,
        }
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        let is_next = self.json[self.at..].starts_with(word);
        is_next.then(|| self.at += word.len())
    }

    fn number(&mut self) -> Option<()> {
        let _ = self.byte(b'-');
        // A zero before other digits is no number.
        if self.byte(b'0').is_none() {
            self.digits()?;
        }
        if self.byte(b'.').is_some() {
            self.digits()?;
        }
        (!matches!(self.peek(), Some(b'0'..=b'9' | b'e' | b'E'))).then_some(())
    }

    fn digits(&mut self) -> Option<()> {
        let rest = &self.json[self.at..];
        let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += length;
        (length > 0).then_some(())
    }

    /// Reads what is between a bracket and its other half.
    fn list(&mut self, end: u8, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.at += 1;
        self.space();
        if self.byte(end).is_some() {
            return Some(());
        }
        loop {
            item(self)?;
            self.space();
            if self.byte(end).is_some() {
                return Some(());
            }
            self.byte(b',')?;
            self.space();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    /// What is found; nothing if it is not plain.
    fn found(json: &str) -> Option<Vec<(String, String)>> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let mut all = Vec::new();
        for member in members(json)? {
            let (name, value) = member?;
            all.push((text(name), text(value)));
        }
        Some(all)
    }

    #[test]
    fn a_plain_object_is_taken_apart() {
        let json = r#" { "a" : 1 ,"b":{"c":[ ]},"d":[-1.5,{},"x"], "":"ü", "n":null} "#;
        let expected = [
            ("a", "1"),
            ("b", r#"{"c":[ ]}"#),
            ("d", r#"[-1.5,{},"x"]"#),
            ("", r#""ü""#),
            ("n", "null"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(found(json).unwrap(), expected);
        assert_eq!(found("{}"), Some(Vec::new()));
    }

    #[test]
    fn what_is_not_plain_is_left_to_others() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(17), "]".repeat(17));
        for json in [
            r#"{"a":"\n"}"#,
            r#"{"a":1e3}"#,
            r#"{"a":01}"#,
            r#"{"a":-}"#,
            r#"{"a":1.}"#,
            r#"{"a":1,}"#,
            r#"{,"a":1}"#,
            r#"{"a":1 "b":2}"#,
            r#"{"a":[1,]}"#,
            r#"{"a":1}}"#,
            r#"{"a":nul}"#,
            r#"{"a""#,
            "{\"a\":\"\t\"}",
            "[]",
            "",
            &deep,
        ] {
            assert_eq!(found(json), None, "{json}");
        }
    }

    /// Nearly JSON: pieces of it in any order.
    fn pieces() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"a\"",
            "\"b\"",
            "\"\\n\"",
            "1",
            "-0.5",
            "0",
            "1e5",
            "null",
            "true",
            " ",
            "\"a\":1",
            "{\"b\":2}",
            "\"",
            "\t",
            ".",
        ]);
        prop::collection::vec(piece, 0..10).prop_map(|pieces| format!("{{{}}}", pieces.concat()))
    }

    proptest! {
        #[test]
        fn nothing_is_taken_that_is_no_json_and_all_is_taken_apart_the_same(json in pieces()) {
            if let Some(found) = found(&json) {
                let read = serde_json::from_str::<std::collections::HashMap<String, Box<RawValue>>>(&json);
                let read = read.unwrap();
                for (nth, (name, value)) in found.iter().enumerate() {
                    let is_last = found[nth + 1..].iter().all(|(later, _)| later != name);
                    if is_last {
                        prop_assert_eq!(value, read[name].get());
                    }
                }
                prop_assert!(read.keys().all(|name| found.iter().any(|(own, _)| own == name)));
            }
        }
    }
}
