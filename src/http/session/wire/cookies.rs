//! Finding a cookie among those that a browser has sent.

use http::HeaderMap;
use http::header::COOKIE;

/// The values of the cookies called `name`, in the order sent. Express takes the first, also when
/// it is no good: who could choose another would be tricked into somebody else's session.
pub(crate) fn cookies<'a>(
    headers: &'a HeaderMap,
    name: &'a str,
) -> impl Iterator<Item = &'a [u8]> + 'a {
    headers
        .get_all(COOKIE)
        .iter()
        .flat_map(|field| field.as_bytes().split(|byte| *byte == b';'))
        .filter_map(move |pair| {
            let pair = pair.trim_ascii_start().strip_prefix(name.as_bytes())?;
            let value = pair.trim_ascii_start().strip_prefix(b"=")?;
            Some(value.trim_ascii())
        })
}

/// A value without the double quotes that it may be in.
pub(super) fn unquoted(value: &[u8]) -> &[u8] {
    let inside = value
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""));
    inside.unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of `sid` in these fields.
    fn found(fields: &[&str]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(COOKIE, field.parse().unwrap());
        }
        let values = cookies(&headers, "sid");
        values
            .map(|value| String::from_utf8(value.to_vec()).unwrap())
            .collect()
    }

    #[test]
    fn every_cookie_of_the_name_is_found_in_order() {
        assert_eq!(found(&["a=1; sid=x; b=2; sid=y", "sid=z"]), ["x", "y", "z"]);
        assert_eq!(found(&["sid=x"]), ["x"]);
        assert_eq!(found(&["a=1;sid = x ;b=2"]), ["x"]);
        assert_eq!(found(&["sid=x=y"]), ["x=y"]);
        assert_eq!(found(&["sid="]), [""]);
    }

    #[test]
    fn a_name_that_is_like_it_is_another() {
        for field in [
            "sidd=x", "asid=x", "SID=x", "sid", "a=sid=x", "=x", ";;", "", "a=\"b",
        ] {
            assert!(found(&[field]).is_empty(), "{field}");
        }
    }

    #[test]
    fn quotes_come_in_pairs() {
        for (value, bare) in [
            ("\"x\"", "x"),
            ("\"", "\""),
            ("\"x", "\"x"),
            ("\"\"", ""),
            ("x", "x"),
        ] {
            assert_eq!(unquoted(value.as_bytes()), bare.as_bytes());
        }
    }
}
