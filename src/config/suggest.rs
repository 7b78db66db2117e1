//! "did you mean …": the nearest right word to a wrong one.

/// No right word is longer than this; it also bounds the work that a huge wrong word can cause.
const LONGEST: usize = 64;

/// The candidate that a typing mistake could have turned into `word`, if there is one.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if word.len() > LONGEST {
        return None;
    }
    let word = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(&word, &candidate.to_lowercase());
            (distance, candidate)
        })
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The end of a problem's sentence: empty, or `; did you mean …?`.
pub(super) fn hint(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(String::new, |right| format!("; did you mean `{right}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_wins_and_a_far_one_is_not_named() {
        let words = ["kill_timeout", "listen_timeout", "name"];
        assert_eq!(nearest("kil_timeout", words), Some("kill_timeout"));
        assert_eq!(nearest("KILL_TIMEOUT", words), Some("kill_timeout"));
        assert_eq!(nearest("nmae", words), Some("name"));
        assert_eq!(nearest("gzip", words), None);
        assert_eq!(nearest(&"k".repeat(1 << 20), words), None);
    }
}
