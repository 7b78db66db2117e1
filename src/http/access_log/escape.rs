//! Text of strangers on its way into a log: it must neither end a line nor a quotation.

use std::fmt::Write as _;

/// How nginx writes a variable: `"`, `\`, and every byte that is not printable ASCII, as `\xHH`.
pub(super) fn quoted(text: &[u8], out: &mut Vec<u8>) {
    escape(text, |byte| is_plain(byte) || byte == b' ', out);
}

/// The same for a field that a space would end.
pub(super) fn unquoted(text: &[u8], out: &mut Vec<u8>) {
    escape(text, is_plain, out);
}

fn is_plain(byte: u8) -> bool {
    (0x21..0x7f).contains(&byte) & (byte != b'"') & (byte != b'\\')
}

fn escape(text: &[u8], is_plain: impl Fn(u8) -> bool, out: &mut Vec<u8>) {
    // Without a way out of the loop the compiler looks at many bytes at once; nearly every text
    // is plain.
    if text.iter().fold(true, |all, byte| all & is_plain(*byte)) {
        return out.extend_from_slice(text);
    }
    for &byte in text {
        if is_plain(byte) {
            out.push(byte);
        } else {
            hex(byte, out);
        }
    }
}

fn hex(byte: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |value: u8| DIGITS[usize::from(value & 15)];
    out.extend_from_slice(&[b'\\', b'x', digit(byte >> 4), digit(byte)]);
}

/// A JSON string with its quotes, of at most `most` bytes between them. Bytes that are no UTF-8
/// become U+FFFD.
pub(super) fn json(text: &[u8], most: usize, out: &mut Vec<u8>) {
    out.push(b'"');
    let is_plain = |byte: u8| is_plain(byte) || byte == b' ';
    if text.len() <= most && text.iter().fold(true, |all, byte| all & is_plain(*byte)) {
        out.extend_from_slice(text);
    } else {
        json_text(text, most, out);
    }
    out.push(b'"');
}

fn json_text(text: &[u8], most: usize, out: &mut Vec<u8>) {
    let start = out.len();
    for chunk in text.utf8_chunks() {
        let invalid = (!chunk.invalid().is_empty()).then_some(char::REPLACEMENT_CHARACTER);
        for letter in chunk.valid().chars().chain(invalid) {
            let before = out.len();
            json_char(letter, out);
            if out.len() - start > most {
                return out.truncate(before);
            }
        }
    }
}

/// Line separators and DEL are escaped as well: some readers take them for ends of lines.
fn json_char(letter: char, out: &mut Vec<u8>) {
    match letter {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\u{2028}' | '\u{2029}' => unicode(letter, out),
        letter if letter.is_control() => unicode(letter, out),
        letter => out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

fn unicode(letter: char, out: &mut Vec<u8>) {
    let mut text = String::with_capacity(6);
    let _ = write!(text, "\\u{:04x}", u32::from(letter)); // a String takes everything
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json(text: &[u8], out: &mut Vec<u8>) {
        super::json(text, usize::MAX, out);
    }

    #[test]
    fn json_is_cut_between_letters() {
        let mut out = Vec::new();
        super::json("aé\"\n".as_bytes(), 6, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), r#""aé\"""#);
    }

    fn with(escape: fn(&[u8], &mut Vec<u8>), text: &[u8]) -> String {
        let mut out = Vec::new();
        escape(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_could_end_a_line_or_a_quotation_is_written_in_hex() {
        assert_eq!(
            with(quoted, b"a\"b\\c\r\nd\te"),
            r"a\x22b\x5Cc\x0D\x0Ad\x09e"
        );
        assert_eq!(with(quoted, b"\x7f\xc3\xa9 ok"), r"\x7F\xC3\xA9 ok");
        assert_eq!(with(unquoted, b" a b "), r"\x20a\x20b\x20");
    }

    #[test]
    fn json_stays_json() {
        assert_eq!(with(json, b"a\"b\\c\r\nd"), r#""a\"b\\c\u000d\u000ad""#);
        assert_eq!(
            with(json, "\u{e9}\u{2028}\u{7f}\u{85}".as_bytes()),
            "\"\u{e9}\\u2028\\u007f\\u0085\""
        );
        assert_eq!(with(json, b"a\xffb"), "\"a\u{fffd}b\"");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn json_gives_back_what_was_put_in(text in any::<String>()) {
            let line = with(json, text.as_bytes());
            prop_assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
        }

        #[test]
        fn no_bytes_break_out(text in any::<Vec<u8>>()) {
            let line = with(quoted, &text);
            prop_assert!(line.bytes().all(|byte| (0x20..0x7f).contains(&byte) && byte != b'"'));
            prop_assert!(!with(unquoted, &text).contains(' '));
            prop_assert!(serde_json::from_str::<String>(&with(json, &text)).is_ok());
        }
    }
}
