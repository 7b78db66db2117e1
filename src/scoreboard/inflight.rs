//! The requests a worker is answering, as others see them: whoever finds it dead or stuck can
//! name what it was doing.
//!
//! The worker alone writes, with plain stores; a reader may find an entry half written or, after
//! a wild store of the dying process, anything at all. So readers trust no length and no text:
//! the worst that can come of it is a strange name.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::sys::clock;

/// How many requests of a worker have a place in its table; those that come while it is full are
/// only counted, but for the one that has the thread.
pub(crate) const ENTRIES: usize = 64;
/// The place of a request that came while the table was full, while it has the thread: the first
/// suspect must have a name.
pub(crate) const SPARE: usize = ENTRIES;
/// How many requests of a worker are named in a record or an answer.
const NAMED: usize = 10;

/// Words of an entry: two cache lines.
const ENTRY_WORDS: usize = 16;
/// Words before the first entry: one cache line.
const HEAD_WORDS: usize = 8;
/// Words of a table.
pub(super) const WORDS: usize = HEAD_WORDS + (ENTRIES + 1) * ENTRY_WORDS;

/// In the head: the place of the request that is on the thread, from 1; 0 is none.
const ON_THREAD: usize = 0;

/// In an entry: when the request came, in nanoseconds of the shared clock; 0 is a free place.
const STARTED: usize = 0;
/// In an entry: the first eight bytes of the method.
const METHOD: usize = 1;
/// In an entry: the bytes of path and id, and whether the path was cut, a byte each.
const LENGTHS: usize = 2;
/// In an entry: the path, as much as there is room for.
const PATH: std::ops::Range<usize> = 3..11;
/// In an entry: the request's id, likewise.
const ID: std::ops::Range<usize> = 11..ENTRY_WORDS;

/// The table of one worker. Copy it freely: it is a view of shared memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table<'a> {
    words: &'a [AtomicU64],
}

/// One request that is being answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunningRequest {
    /// Its method; at most eight bytes of it.
    pub(crate) method: String,
    /// Its path without the query, which may hold secrets; a long one is cut and ends in `…`.
    pub(crate) path: String,
    /// Its id, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    /// How long ago it came.
    pub(crate) age_ms: u64,
    /// Whether its handler or its body's producer has the thread just now, or had it when the
    /// process ended.
    pub(crate) on_thread: bool,
}

/// What a worker is answering: the request on the thread first, then the oldest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Running {
    /// At most [`NAMED`].
    pub(crate) requests: Vec<RunningRequest>,
    /// How many there are besides.
    pub(crate) more: u64,
}

impl<'a> Table<'a> {
    pub(super) fn new(words: &'a [AtomicU64]) -> Self {
        Self { words }
    }

    fn entry(self, place: usize) -> &'a [AtomicU64] {
        let first = HEAD_WORDS + place * ENTRY_WORDS;
        &self.words[first..first + ENTRY_WORDS]
    }

    // === what the worker writes ===

    /// Notes a request in a free place.
    ///
    /// # Panics
    /// When `place` is beyond [`SPARE`].
    pub(crate) fn put(
        self,
        place: usize,
        started_ns: u64,
        method: &str,
        path: &str,
        id: Option<&[u8]>,
    ) {
        let entry = self.entry(place);
        copy(method.as_bytes(), &entry[METHOD..=METHOD]);
        let kept = copy(path.as_bytes(), &entry[PATH]);
        let of_id = id.map_or(0, |id| copy(id, &entry[ID]));
        let lengths = kept | of_id << 8 | usize::from(kept < path.len()) << 16;
        entry[LENGTHS].store(lengths as u64, Ordering::Relaxed);
        entry[STARTED].store(started_ns.max(1), Ordering::Release); // it counts from here on
    }

    /// Frees a place.
    ///
    /// # Panics
    /// When `place` is beyond [`SPARE`].
    pub(crate) fn clear(self, place: usize) {
        self.entry(place)[STARTED].store(0, Ordering::Relaxed);
    }

    /// Notes that the request in `place` has the thread.
    pub(crate) fn set_on_thread(self, place: usize) {
        self.words[ON_THREAD].store(place as u64 + 1, Ordering::Relaxed);
    }

    /// Notes that no request has the thread.
    pub(crate) fn clear_on_thread(self) {
        self.words[ON_THREAD].store(0, Ordering::Relaxed);
    }

    // === what anybody reads ===

    /// The request in `place`, if there is one.
    pub(crate) fn get(self, place: usize) -> Option<RunningRequest> {
        let entry = (place <= SPARE).then(|| self.entry(place))?;
        let started = entry[STARTED].load(Ordering::Acquire);
        if started == 0 {
            return None;
        }
        let lengths = entry[LENGTHS].load(Ordering::Relaxed).to_le_bytes();
        let method = bytes_of(&entry[METHOD..=METHOD]);
        let name = method.split(|byte| *byte == 0).next().unwrap_or_default();
        let mut path = printable(&bytes_of(&entry[PATH]), lengths[0]);
        if lengths[2] != 0 {
            path.push('…');
        }
        Some(RunningRequest {
            method: printable(name, u8::MAX),
            path,
            id: (lengths[1] != 0).then(|| printable(&bytes_of(&entry[ID]), lengths[1])),
            age_ms: clock::now_ns().saturating_sub(started) / 1_000_000,
            on_thread: self.words[ON_THREAD].load(Ordering::Relaxed) == place as u64 + 1,
        })
    }

    /// The requests that are being answered, of which there are `inflight` in all.
    pub(super) fn running(self, inflight: u64) -> Running {
        let mut requests: Vec<_> = (0..=SPARE).filter_map(|place| self.get(place)).collect();
        requests.sort_by_key(|it| (!it.on_thread, std::cmp::Reverse(it.age_ms)));
        let all = inflight.max(requests.len() as u64);
        requests.truncate(NAMED);
        Running {
            more: all - requests.len() as u64,
            requests,
        }
    }
}

/// Stores as much of `text` as there is room for; how many bytes that was is returned.
fn copy(text: &[u8], words: &[AtomicU64]) -> usize {
    let text = &text[..text.len().min(words.len() * 8)];
    let (whole, rest) = text.as_chunks::<8>();
    for (word, chunk) in words.iter().zip(whole) {
        word.store(u64::from_le_bytes(*chunk), Ordering::Relaxed);
    }
    if !rest.is_empty() {
        let last = rest
            .iter()
            .rev()
            .fold(0, |word, byte| word << 8 | u64::from(*byte));
        words[whole.len()].store(last, Ordering::Relaxed);
    }
    text.len()
}

fn bytes_of(words: &[AtomicU64]) -> Vec<u8> {
    let words = words.iter().map(|word| word.load(Ordering::Relaxed));
    words.flat_map(u64::to_le_bytes).collect()
}

/// The first `length` bytes, with everything that is not printable ASCII as `\xHH`: what dying
/// processes and strangers leave must not break out of a line.
fn printable(bytes: &[u8], length: u8) -> String {
    let mut text = String::new();
    for byte in &bytes[..usize::from(length).min(bytes.len())] {
        match byte {
            b'"' | b'\\' | ..0x20 | 0x7f.. => {
                text.push_str("\\x");
                for digit in [byte >> 4, byte & 15] {
                    text.extend(char::from_digit(u32::from(digit), 16));
                }
            }
            _ => text.push(char::from(*byte)),
        }
    }
    text
}

impl fmt::Display for RunningRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({} ms", self.method, self.path, self.age_ms)?;
        if let Some(id) = &self.id {
            write!(f, ", id {id}")?;
        }
        f.write_str(if self.on_thread {
            ", on the thread)"
        } else {
            ")"
        })
    }
}

impl fmt::Display for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.requests.is_empty() && self.more == 0 {
            return f.write_str("none");
        }
        for (nth, request) in self.requests.iter().enumerate() {
            write!(f, "{}{request}", if nth == 0 { "" } else { ", " })?;
        }
        match (self.more, self.requests.is_empty()) {
            (0, _) => Ok(()),
            (more, true) => write!(f, "{more} without a name"),
            (more, false) => write!(f, " and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words() -> Vec<AtomicU64> {
        (0..WORDS).map(|_| AtomicU64::new(0)).collect()
    }

    #[test]
    fn what_is_put_is_read_until_it_is_cleared() {
        let words = words();
        let table = Table::new(&words);
        assert_eq!(table.running(0), Running::default());
        table.put(3, clock::now_ns(), "GET", "/a/b%20c", Some(b"id-1"));
        table.put(4, clock::now_ns(), "PROPFINDER", "", None);
        table.set_on_thread(4);
        let running = table.running(2);
        let names: Vec<_> = running
            .requests
            .iter()
            .map(|it| (&*it.method, &*it.path, it.id.as_deref(), it.on_thread))
            .collect();
        let expected = [
            ("PROPFIND", "", None, true),
            ("GET", "/a/b%20c", Some("id-1"), false),
        ];
        assert_eq!(names, expected);
        table.clear_on_thread();
        assert!(!table.get(4).unwrap().on_thread);
        table.clear(3);
        table.clear(4);
        assert_eq!(table.running(0), Running::default());
    }

    #[test]
    fn a_place_used_again_shows_nothing_of_its_former_request() {
        let words = words();
        let table = Table::new(&words);
        table.put(
            0,
            1,
            "OPTIONS",
            "/a/long/path/that/was/here/before",
            Some(b"abc"),
        );
        table.put(0, 1, "GET", "/b", None);
        let now = table.get(0).unwrap();
        assert_eq!((&*now.method, &*now.path, now.id), ("GET", "/b", None));
    }

    #[test]
    fn long_texts_are_cut_and_the_path_says_so() {
        let words = words();
        let table = Table::new(&words);
        for (length, shown) in [
            (63, "a".repeat(63)),
            (64, "a".repeat(64)),
            (65, "a".repeat(64) + "…"),
        ] {
            table.put(63, 1, "GET", &"a".repeat(length), Some(&[b'i'; 99]));
            let it = table.get(63).unwrap();
            assert_eq!(it.path, shown);
            assert_eq!(it.id, Some("i".repeat(40)));
        }
    }

    #[test]
    fn those_beyond_the_named_are_counted() {
        let words = words();
        let table = Table::new(&words);
        for place in 0..ENTRIES {
            table.put(place, 1 + place as u64, "GET", "/", None);
        }
        let running = table.running(100);
        assert_eq!((running.requests.len(), running.more), (NAMED, 90));
        assert!(running.to_string().ends_with(" and 90 more"), "{running}");
        assert_eq!(
            Table::new(&super::tests::words()).running(2).to_string(),
            "2 without a name"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn garbage_is_read_without_harm(seed in any::<u64>(), inflight in any::<u64>()) {
            // xorshift: a table of random words, some of them text.
            let mut state = seed | 1;
            let words: Vec<AtomicU64> = (0..WORDS).map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                AtomicU64::new(state)
            }).collect();
            let running = Table::new(&words).running(inflight);
            prop_assert!(running.requests.len() <= NAMED);
            let text = running.to_string();
            prop_assert!(!text.chars().any(char::is_control), "{text:?}");
            prop_assert!(serde_json::to_string(&running.requests).is_ok());
        }

        #[test]
        fn every_path_and_id_comes_back_printable(path in any::<String>(), id in any::<Vec<u8>>()) {
            let words = words();
            let table = Table::new(&words);
            table.put(0, 1, "GET", &path, Some(&id));
            let it = table.get(0).unwrap();
            let is_plain = |text: &str| text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
            prop_assert!(is_plain(it.path.trim_end_matches('…')), "{}", it.path);
            prop_assert!(it.id.as_deref().is_none_or(is_plain));
            if path.len() <= 64 && is_plain(&path) && !path.contains(['"', '\\']) {
                prop_assert_eq!(it.path, path);
            }
        }
    }
}
