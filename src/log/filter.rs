//! What the application log lets through: the configured level, `RUST_LOG`, and `DEBUG` as Node's
//! programs know it.

use tracing_subscriber::EnvFilter;

/// The filter. `rust_log` wins over `level`, if it is set and can be read; `debug` adds to either.
/// A level that cannot be read counts as `info`.
pub(super) fn of(level: &str, rust_log: &str, debug: &str) -> EnvFilter {
    let base = [rust_log, level, "info"]
        .into_iter()
        .find(|text| !text.trim().is_empty() && EnvFilter::try_new(text).is_ok())
        .unwrap_or("info");
    let mut all = vec![base.to_owned()];
    all.extend(directives(debug, base));
    EnvFilter::try_new(all.join(",")).unwrap_or_else(|_| EnvFilter::new("info"))
}

/// Whether `rust_log` is a filter, or nothing.
pub(super) fn is_readable(rust_log: &str) -> bool {
    rust_log.trim().is_empty() || EnvFilter::try_new(rust_log).is_ok()
}

/// `DEBUG=shop:*,db -shop:noise`: everything of the targets `shop` and `db`, but of `shop::noise`
/// what `base` lets through.
fn directives(debug: &str, base: &str) -> Vec<String> {
    let names: Vec<&str> = debug
        .split([',', ' ', '\t'])
        .filter(|name| !name.is_empty())
        .collect();
    let excluded: Vec<String> = names
        .iter()
        .filter_map(|name| target(name.strip_prefix('-')?))
        .collect();
    let words = names
        .iter()
        .filter_map(|name| match name.strip_prefix('-') {
            Some(name) => Some((target(name)?, plain_level(base))),
            // As with Node, what is excluded stays out, however closely it is named elsewhere.
            None => {
                let included = target(name)?;
                let is_out = excluded.iter().any(|out| is_within(&included, out));
                (!is_out).then_some((included, "trace"))
            }
        });
    let directive = |(target, level): (String, &str)| match target.as_str() {
        "" => level.to_owned(),
        target => format!("{target}={level}"),
    };
    words.map(directive).collect()
}

/// Whether a target is another one, or a part of it.
fn is_within(target: &str, whole: &str) -> bool {
    let rest = target.strip_prefix(whole);
    rest.is_some_and(|rest| whole.is_empty() || rest.is_empty() || rest.starts_with("::"))
}

/// The level that a filter has for what it does not name.
fn plain_level(base: &str) -> &str {
    let is_plain = |part: &&str| !part.contains(['=', '[']);
    base.split(',')
        .map(str::trim)
        .find(is_plain)
        .unwrap_or("off")
}

/// A name such as `shop:db:*` as the beginning of a target; what stands behind a `*` is left out.
/// None for what can be no target.
fn target(name: &str) -> Option<String> {
    let start = name.split('*').next().unwrap_or_default();
    let start = start.trim_end_matches(':').replace("::", ":");
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let parts: Vec<String> = start
        .split(':')
        .map(|part| part.replace('-', "_"))
        .collect();
    let is_target = start.is_empty()
        || parts
            .iter()
            .all(|p| !p.is_empty() && p.chars().all(is_part));
    (is_target && (name.contains('*') || !start.is_empty())).then(|| parts.join("::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_node_are_targets_of_rust() {
        let found = directives(
            "shop:db:*, my-app -shop:noise,*,a b:c x[y]=z",
            "info,hyper=debug",
        );
        let expected = [
            "shop::db=trace",
            "my_app=trace",
            "shop::noise=info",
            "trace",
            "a=trace",
            "b::c=trace",
        ];
        assert_eq!(found, expected);
        assert!(directives("", "info").is_empty());
    }

    #[test]
    fn what_is_excluded_stays_out() {
        let found = |debug| directives(debug, "info");
        assert_eq!(found("shop:db,-shop:*"), ["shop=info"]);
        assert_eq!(found("-shop shop"), ["shop=info"]);
        assert_eq!(found("shopping,-shop:*"), ["shopping=trace", "shop=info"]);
        assert_eq!(found("shop:*,-*"), ["info"]);
    }

    #[test]
    fn the_environment_wins_if_it_makes_sense() {
        assert_eq!(of("warn", "", "").to_string(), "warn");
        assert_eq!(of("warn", "debug", "").to_string(), "debug");
        assert_eq!(of("warn", "=,=", "").to_string(), "warn");
        assert_eq!(of("=,=", "", "").to_string(), "info");
        let both = of("warn", "", "shop:*").to_string();
        assert!(
            both.contains("shop=trace") && both.contains("warn"),
            "{both}"
        );
    }
}
