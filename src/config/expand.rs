//! `${NAME}` and `${NAME:-default}` in the texts of a file.

/// Replaces every `${NAME}` by what `lookup` knows, and `$${` by a plain `${`.
///
/// # Errors
/// Names a variable that is not set and has no default, or a `${` without an end.
pub(super) fn expand<'a>(
    text: &str,
    lookup: impl Fn(&str) -> Option<&'a str>,
) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = after;
            continue;
        }
        let (inside, after) = after
            .split_once('}')
            .ok_or_else(|| format!("`${{` without its `}}` in {text:?}"))?;
        out.push_str(before);
        out.push_str(&value(inside, &lookup)?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// Writes `text` so that [`expand`] gives it back.
pub(super) fn escape(text: &str) -> String {
    text.replace("${", "$${")
}

fn value<'a>(inside: &str, lookup: impl Fn(&str) -> Option<&'a str>) -> Result<String, String> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(is_word) {
        return Err(format!(
            "{name:?} in `${{…}}` is not the name of a variable"
        ));
    }
    // As in a shell, `:-` also stands in for an empty variable.
    match (lookup(name), default) {
        (Some(""), Some(default)) | (None, Some(default)) => Ok(default.to_owned()),
        (Some(set), _) => Ok(set.to_owned()),
        (None, None) => Err(format!(
            "the environment has no {name}; `${{{name}:-…}}` would give it a default"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(name: &str) -> Option<&'static str> {
        match name {
            "HOST" => Some("::1"),
            "EMPTY" => Some(""),
            _ => None,
        }
    }

    #[test]
    fn variables_and_defaults_are_filled_in() {
        for (text, expected) in [
            ("plain $HOME $", "plain $HOME $"),
            ("[${HOST}]:80", "[::1]:80"),
            ("${EMPTY}${EMPTY:-x}${UNSET:-y}${UNSET:-}", "xy"),
            ("$${HOST} ${HOST}", "${HOST} ::1"),
        ] {
            assert_eq!(expand(text, known), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_filled_in_is_named() {
        assert_eq!(
            expand("a${UNSET}", known),
            Err("the environment has no UNSET; `${UNSET:-…}` would give it a default".to_owned())
        );
        assert!(expand("${HOST", known).is_err());
        assert!(expand("${}", known).is_err());
        assert!(expand("${a b}", known).is_err());
    }

    #[test]
    fn an_escaped_text_comes_back() {
        for text in ["${HOST}", "a$b", "$${x", "x"] {
            assert_eq!(expand(&escape(text), known), Ok(text.to_owned()), "{text}");
        }
    }
}
