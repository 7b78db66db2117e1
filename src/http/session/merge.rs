//! Two requests have changed a session: what becomes of it.

use super::wire::{Cookie, Millis, Record};

/// What `mine` has changed since `base`, done to `theirs`: field by field, at the top level. Where
/// both have changed the same field, mine is later and wins. Without a base all of mine is new.
pub(super) fn merge(
    base: Option<&Record>,
    mine: &Record,
    mut theirs: Record,
    now: Millis,
) -> Record {
    for (name, json) in mine.fields() {
        if base.and_then(|base| base.get(name)) != Some(json) {
            theirs.set(name, json.clone());
        }
    }
    for (name, _) in base.into_iter().flat_map(Record::fields) {
        if mine.get(name).is_none() {
            theirs.remove(name);
        }
    }
    // Every request begins the cookie's life anew: that is no change.
    let is_mine = base.is_none_or(|base| without_date(&base.cookie) != without_date(&mine.cookie));
    if is_mine {
        theirs.cookie = mine.cookie.clone();
    } else {
        theirs.cookie.touch(now);
    }
    theirs
}

fn without_date(cookie: &Cookie) -> Cookie {
    let mut cookie = cookie.clone();
    cookie.touch(0);
    cookie
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::http::session::wire::CookieOptions;

    fn record(fields: &BTreeMap<String, u8>) -> Record {
        let options = CookieOptions::new(&crate::config::Session::default(), false);
        let mut record = Record::new(options.cookie(0));
        for (name, value) in fields {
            record.set(name, Bytes::from(value.to_string()));
        }
        record
    }

    fn fields(record: &Record) -> BTreeMap<String, u8> {
        let read =
            |(name, json): (&str, &Bytes)| (name.to_owned(), serde_json::from_slice(json).unwrap());
        record.fields().map(read).collect()
    }

    fn map(pairs: &[(&str, u8)]) -> BTreeMap<String, u8> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect()
    }

    #[test]
    fn each_field_goes_its_own_way() {
        let base = record(&map(&[
            ("same", 0),
            ("mine", 0),
            ("theirs", 0),
            ("both", 0),
            ("gone", 0),
        ]));
        let mine = record(&map(&[
            ("same", 0),
            ("mine", 1),
            ("theirs", 0),
            ("both", 1),
            ("new", 1),
        ]));
        let theirs = record(&map(&[
            ("same", 0),
            ("mine", 0),
            ("theirs", 2),
            ("both", 2),
            ("gone", 2),
            ("other", 2),
        ]));
        let merged = merge(Some(&base), &mine, theirs, 0);
        let expected = map(&[
            ("same", 0),
            ("mine", 1),
            ("theirs", 2),
            ("both", 1),
            ("new", 1),
            ("other", 2),
        ]);
        assert_eq!(fields(&merged), expected);
    }

    #[test]
    fn what_they_removed_stays_removed_unless_it_is_changed() {
        let base = record(&map(&[("a", 0), ("b", 0)]));
        let mine = record(&map(&[("a", 0), ("b", 1)]));
        let merged = merge(Some(&base), &mine, record(&map(&[])), 0);
        assert_eq!(fields(&merged), map(&[("b", 1)]));
    }

    #[test]
    fn a_new_session_that_is_there_already_keeps_both() {
        let merged = merge(
            None,
            &record(&map(&[("a", 1)])),
            record(&map(&[("b", 2)])),
            0,
        );
        assert_eq!(fields(&merged), map(&[("a", 1), ("b", 2)]));
    }

    #[test]
    fn a_cookie_that_was_only_renewed_is_theirs_and_one_that_was_changed_is_mine() {
        let hour = Some(std::time::Duration::from_secs(3600));
        let mut base = record(&map(&[]));
        base.cookie.set_max_age(hour, 0);
        let mut mine = base.clone();
        mine.cookie.touch(1000);
        let mut theirs = base.clone();
        theirs.cookie.set_path("/theirs");
        let merged = merge(Some(&base), &mine, theirs.clone(), 5000);
        assert_eq!(merged.cookie.path().unwrap(), "/theirs");
        assert_eq!(merged.cookie.expires(), Some(3_605_000));
        mine.cookie.set_path("/mine");
        let merged = merge(Some(&base), &mine, theirs, 5000);
        assert_eq!(merged.cookie.path().unwrap(), "/mine");
    }

    /// A change of the fields: some set, some removed.
    type Change = BTreeMap<String, Option<u8>>;

    fn change(names: &'static str) -> impl Strategy<Value = Change> {
        prop::collection::btree_map(names, prop::option::of(any::<u8>()), 0..6)
    }

    fn changed(from: &BTreeMap<String, u8>, change: &Change) -> BTreeMap<String, u8> {
        let mut fields = from.clone();
        for (name, value) in change {
            match value {
                Some(value) => drop(fields.insert(name.clone(), *value)),
                None => drop(fields.remove(name)),
            }
        }
        fields
    }

    proptest! {
        #[test]
        fn changes_of_different_fields_are_all_kept_in_either_order(
            base in prop::collection::btree_map("[a-h]", any::<u8>(), 0..8),
            one in change("[a-d]"),
            other in change("[e-h]"),
        ) {
            let expected = changed(&changed(&base, &one), &other);
            let (mine, theirs) = (record(&changed(&base, &one)), record(&changed(&base, &other)));
            let base = record(&base);
            prop_assert_eq!(fields(&merge(Some(&base), &mine, theirs.clone(), 0)), expected.clone());
            prop_assert_eq!(fields(&merge(Some(&base), &theirs, mine, 0)), expected);
        }

        #[test]
        fn the_later_one_wins_where_both_change_a_field(
            base in prop::collection::btree_map("[a-d]", any::<u8>(), 0..5),
            one in change("[a-d]"),
            other in change("[a-d]"),
        ) {
            let (mine, theirs) = (changed(&base, &one), changed(&base, &other));
            let mut expected = theirs.clone();
            for name in one.keys() {
                if mine.get(name) != base.get(name) {
                    match mine.get(name) {
                        Some(value) => drop(expected.insert(name.clone(), *value)),
                        None => drop(expected.remove(name)),
                    }
                }
            }
            let merged = merge(Some(&record(&base)), &record(&mine), record(&theirs), 0);
            prop_assert_eq!(fields(&merged), expected);
        }
    }
}
