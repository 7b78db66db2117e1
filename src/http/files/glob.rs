//! Patterns of names.

use crate::config::Glob;

/// Whether `pattern` is about `path`: about its last name, unless the pattern has a slash.
pub(super) fn is_match(pattern: &Glob, path: &str) -> bool {
    let pattern = pattern.0.as_str();
    let subject = if pattern.contains('/') {
        path
    } else {
        path.rsplit('/').next().unwrap_or("")
    };
    matches(pattern.as_bytes(), subject.as_bytes())
}

/// The longest pattern is short and is tried once per file and second at most, so the plain way
/// does: a star takes as little as possible, and more when the rest does not fit. Only the last
/// star is tried again, since what is before it has found its earliest place; a `**` outlives a
/// `*` behind it, for that one cannot pass a slash.
fn matches(pattern: &[u8], subject: &[u8]) -> bool {
    let (mut p, mut s) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    let mut deep: Option<(usize, usize)> = None;
    loop {
        match pattern.get(p) {
            Some(b'*') if pattern.get(p + 1) == Some(&b'*') => {
                p += 2;
                (deep, star) = (Some((p, s)), None);
                continue;
            }
            Some(b'*') => {
                p += 1;
                star = Some((p, s));
                continue;
            }
            Some(wanted) if s < subject.len() => {
                if let Some(length) = one(&pattern[p..], *wanted, subject[s]) {
                    (p, s) = (p + length, s + 1);
                    continue;
                }
            }
            None if s == subject.len() => return true,
            Some(_) | None => {}
        }
        // It does not fit: the last star takes one more.
        if let Some((after, from)) = star
            && subject.get(from).is_some_and(|byte| *byte != b'/')
        {
            (p, s, star) = (after, from + 1, Some((after, from + 1)));
        } else if let Some((after, from)) = deep
            && from < subject.len()
        {
            (p, s, deep, star) = (after, from + 1, Some((after, from + 1)), None);
        } else {
            return false;
        }
    }
}

/// How long the element at the beginning of `pattern` is, if it is about `byte`.
fn one(pattern: &[u8], first: u8, byte: u8) -> Option<usize> {
    match first {
        b'?' => (byte != b'/').then_some(1),
        b'[' => {
            let Some(end) = pattern.iter().skip(1).position(|byte| *byte == b']') else {
                return (byte == b'[').then_some(1);
            };
            is_in(&pattern[1..=end], byte).then_some(end + 2)
        }
        first => (first == byte).then_some(1),
    }
}

/// Whether a set such as `a-f0-9` holds a byte.
fn is_in(set: &[u8], byte: u8) -> bool {
    let mut rest = set;
    while let [first, after @ ..] = rest {
        if let [b'-', last, after @ ..] = after {
            if (*first..=*last).contains(&byte) {
                return true;
            }
            rest = after;
        } else {
            if *first == byte {
                return true;
            }
            rest = after;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_are_about_names_or_paths() {
        for (pattern, path, expected) in [
            ("*.js", "/a/b.js", true),
            ("*.js", "/a/b.json", false),
            ("*.[0-9a-f][0-9a-f]*.js", "/app.3fd2.js", true),
            ("*.[0-9a-f]*.js", "/app.min.js", false),
            ("*-????????.css", "/x/main-abcd1234.css", true),
            ("*-????????.css", "/x/main-abc.css", false),
            ("/assets/*", "/assets/a.js", true),
            ("/assets/*", "/assets/x/a.js", false),
            ("/assets/**", "/assets/x/a.js", true),
            ("/assets/**", "/other/x/a.js", false),
            ("/**/v*/*.js", "/a/b/v1/c.js", true),
            ("/**/v*/*.js", "/a/v1/b/c.js", false),
            ("/**/v*/*.js", "/v1/v2/c.js", true),
            ("[ab", "/[ab", true),
            ("[a-]", "/-", true),
            ("", "/a", false),
            ("*", "/", true),
        ] {
            assert_eq!(
                is_match(&Glob(pattern.into()), path),
                expected,
                "{pattern} {path}"
            );
        }
    }

    /// What a pattern means, without any cleverness.
    fn meaning(pattern: &[u8], subject: &[u8]) -> bool {
        match pattern {
            [] => subject.is_empty(),
            [b'*', b'*', rest @ ..] => {
                (0..=subject.len()).any(|taken| meaning(rest, &subject[taken..]))
            }
            [b'*', rest @ ..] => (0..=subject.len())
                .take_while(|taken| !subject[..*taken].contains(&b'/'))
                .any(|taken| meaning(rest, &subject[taken..])),
            [first, rest @ ..] => subject
                .split_first()
                .is_some_and(|(byte, after)| first == byte && meaning(rest, after)),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn the_quick_way_is_the_plain_one(pattern in "[ab/*]{0,8}", subject in "[ab/]{0,8}") {
            prop_assert_eq!(
                matches(pattern.as_bytes(), subject.as_bytes()),
                meaning(pattern.as_bytes(), subject.as_bytes())
            );
        }
    }
}
