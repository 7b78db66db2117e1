//! In which format does a client want to read why it was refused? (RFC 9110, 12.5.1)

/// The formats of an answer that is not the site's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// For browsers, and for who does not say.
    Html,
    /// RFC 9457, for programs.
    Problem,
    /// Plain text.
    Text,
}

/// The formats in the order that decides between equals, with the types that name them.
const FORMATS: [(Format, &[(&str, &str)]); 3] = [
    (Format::Html, &[("text", "html")]),
    (
        Format::Problem,
        &[("application", "problem+json"), ("application", "json")],
    ),
    (Format::Text, &[("text", "plain")]),
];

/// How well an `Accept` field likes a format: by weight in thousandths, then by how closely it
/// was named (2 exactly, 1 as `text/*`, 0 as `*/*`).
type Liking = (u16, u8);

impl Format {
    /// The format that is liked best; HTML when none is, for an answer there must be.
    pub(super) fn liked_by(accept: Option<&[u8]>) -> Self {
        let Some(accept) = accept.and_then(|field| std::str::from_utf8(field).ok()) else {
            return Self::Html;
        };
        let mut best = (Self::Html, (0, 0));
        for (format, types) in FORMATS {
            let named = types.iter().filter_map(|name| liking(accept, *name));
            let liking = named.max().unwrap_or_default();
            // A weight of 0 is a refusal, however closely it names the type.
            if liking.0 > 0 && liking > best.1 {
                best = (format, liking);
            }
        }
        best.0
    }
}

/// The weight of the range that names a type most closely, and how closely that is.
fn liking(accept: &str, (kind, sub): (&str, &str)) -> Option<Liking> {
    let ranges = accept.split(',').filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let (range_kind, range_sub) = parts.next()?.split_once('/')?;
        let is = |own: &str, other: &str| own.eq_ignore_ascii_case(other);
        let closeness = match (range_kind, range_sub) {
            ("*", "*") => 0,
            (other, "*") if is(kind, other) => 1,
            (other, name) if is(kind, other) && is(sub, name) => 2,
            _ => return None,
        };
        let weight = parts.find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim()
                .eq_ignore_ascii_case("q")
                .then(|| weight(value.trim()))
        });
        Some((closeness, weight.unwrap_or(1_000)))
    });
    ranges.max().map(|(closeness, weight)| (weight, closeness))
}

/// `0` to `1` with up to three digits behind the point, in thousandths; 0 for what is no weight.
fn weight(text: &str) -> u16 {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    if rest.len() > 3 || !rest.bytes().all(|digit| digit.is_ascii_digit()) {
        return 0;
    }
    match whole {
        "1" => 1_000,
        "0" => format!("{rest:0<3}").parse().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn liked(accept: &str) -> Format {
        Format::liked_by(Some(accept.as_bytes()))
    }

    #[test]
    fn clients_get_what_they_like_best() {
        assert_eq!(Format::liked_by(None), Format::Html);
        for (accept, expected) in [
            ("", Format::Html),
            ("*/*", Format::Html),
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                Format::Html,
            ),
            ("application/json", Format::Problem),
            ("application/problem+json", Format::Problem),
            ("Application/JSON; charset=utf-8", Format::Problem),
            ("application/*", Format::Problem),
            ("application/json, text/plain, */*", Format::Problem), // many JavaScript clients
            ("application/json, */*", Format::Problem),
            ("text/plain", Format::Text),
            ("text/plain, text/html", Format::Html),
            ("text/plain, text/html;q=0.9", Format::Text),
            ("text/*", Format::Html),
            ("text/*, text/html;q=0.1", Format::Text),
            ("text/html;q=0, */*", Format::Problem),
            (
                "application/json;q=0.5, text/plain;q=0.500",
                Format::Problem,
            ),
            ("application/json;q=0.50, text/plain;q=0.501", Format::Text),
            ("application/json;q=0", Format::Html),
            ("image/png", Format::Html),
            ("text/plain;q=x", Format::Html),
            ("text/plain;q=1.0", Format::Text),
            ("text/plain;q=2", Format::Html),
            (", ;, /, */, q=1", Format::Html),
        ] {
            assert_eq!(liked(accept), expected, "{accept:?}");
        }
        assert_eq!(Format::liked_by(Some(b"text/plain\xff")), Format::Html);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]
        #[test]
        fn no_field_is_too_odd(accept in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Format::liked_by(Some(&accept));
        }

        #[test]
        fn the_heaviest_of_three_wins(weights in Just([1000_u16, 500, 250]).prop_shuffle()) {
            let [html, json, text] = weights.map(|w| format!("{}.{:03}", w / 1000, w % 1000));
            let accept = format!("text/html;q={html}, application/json ;q={json},text/plain; q={text}");
            let most = weights.iter().position(|weight| *weight == 1000).unwrap();
            prop_assert_eq!(liked(&accept), [Format::Html, Format::Problem, Format::Text][most]);
        }
    }
}
