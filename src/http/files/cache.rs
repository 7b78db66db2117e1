//! What a worker remembers of files: the content of small ones, the descriptors of larger ones.
//!
//! An entry is good for a second without a look at the disk. When room is needed, entries go in
//! the order in which they came, but those asked for since their last turn get another one.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use super::found::Found;

/// How long an entry is good without a look at the disk, in milliseconds.
const GOOD_MS: u64 = 1_000;

/// After how long without a question the descriptors of an entry are closed, in milliseconds.
const IDLE_MS: u64 = 10_000;

/// What an entry takes besides its content: two heads, its key, its place in two tables.
const OVERHEAD: usize = 3 * 1024;

/// What is remembered, by path.
#[derive(Debug)]
pub(super) struct Cache {
    entries: HashMap<Rc<str>, Entry>,
    /// Keys and the serial numbers of their entries, the oldest first; an entry that has gone
    /// leaves its place here.
    order: VecDeque<(Rc<str>, u64)>,
    serial: u64,
    /// Memory in use, and its limit.
    bytes: usize,
    most_bytes: usize,
    /// Descriptors in use, and their limit.
    open: usize,
    most_open: usize,
}

#[derive(Debug)]
struct Entry {
    found: Rc<Found>,
    /// When it was last the same as on disk, in milliseconds of the shared clock.
    checked: Cell<u64>,
    /// Whether it was asked for since its last turn.
    used: Cell<bool>,
    serial: u64,
}

/// What is known about a path.
pub(super) enum Known {
    /// This is what it is.
    Good(Rc<Found>),
    /// This is what it was; it may have changed.
    Old(Rc<Found>),
    /// Nothing.
    Nothing,
}

impl Cache {
    /// A cache of at most so many bytes and so many descriptors.
    pub(super) fn new(most_bytes: usize, most_open: usize) -> Self {
        Self {
            entries: HashMap::new(),
            order: VecDeque::new(),
            serial: 0,
            bytes: 0,
            most_bytes,
            open: 0,
            most_open,
        }
    }

    /// What is known about a path.
    pub(super) fn get(&self, key: &str, now: u64) -> Known {
        let Some(entry) = self.entries.get(key) else {
            return Known::Nothing;
        };
        entry.used.set(true);
        let found = Rc::clone(&entry.found);
        if now.saturating_sub(entry.checked.get()) < GOOD_MS {
            Known::Good(found)
        } else {
            Known::Old(found)
        }
    }

    /// Notes that an entry is as it is on disk.
    pub(super) fn confirm(&self, key: &str, now: u64) {
        if let Some(entry) = self.entries.get(key) {
            entry.checked.set(now);
        }
    }

    /// Remembers a file, unless it is uncertain or takes too much of the room.
    pub(super) fn insert(&mut self, key: &str, found: &Rc<Found>, now: u64) {
        self.remove(key);
        let fits = cost(found) <= self.most_bytes / 4 && found.descriptors() <= self.most_open;
        if !found.is_certain || !fits {
            return;
        }
        self.bytes += cost(found);
        self.open += found.descriptors();
        self.serial += 1;
        let key: Rc<str> = key.into();
        let entry = Entry {
            found: Rc::clone(found),
            checked: Cell::new(now),
            used: Cell::new(false),
            serial: self.serial,
        };
        self.order.push_back((Rc::clone(&key), self.serial));
        self.entries.insert(key, entry);
        self.make_room();
    }

    /// Forgets a path.
    pub(super) fn remove(&mut self, key: &str) {
        if let Some(entry) = self.entries.remove(key) {
            self.bytes -= cost(&entry.found);
            self.open -= entry.found.descriptors();
        }
        if self.order.len() > 2 * self.entries.len() + 64 {
            let entries = &self.entries;
            let is_there =
                |key: &str, serial| entries.get(key).is_some_and(|entry| entry.serial == serial);
            self.order.retain(|(key, serial)| is_there(key, *serial));
        }
    }

    /// Closes the files that nobody asks for; whether some are still open.
    pub(super) fn close_idle(&mut self, now: u64) -> bool {
        let idle: Vec<Rc<str>> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.found.descriptors() > 0)
            .filter(|(_, entry)| now.saturating_sub(entry.checked.get()) >= IDLE_MS)
            .map(|(key, _)| Rc::clone(key))
            .collect();
        idle.iter().for_each(|key| self.remove(key));
        self.open > 0
    }

    /// How many descriptors are held.
    pub(super) fn open(&self) -> usize {
        self.open
    }

    fn make_room(&mut self) {
        while self.bytes > self.most_bytes || self.open > self.most_open {
            let Some((key, serial)) = self.order.pop_front() else {
                return;
            };
            match self.entries.get(&key) {
                Some(entry) if entry.serial == serial => {
                    if entry.used.take() {
                        self.order.push_back((key, serial));
                    } else {
                        self.remove(&key);
                    }
                }
                Some(_) | None => {} // it has gone, or came again later
            }
        }
    }
}

/// Open files are bounded by their number alone.
fn cost(found: &Found) -> usize {
    match found.bytes() {
        0 if found.descriptors() > 0 => 0,
        bytes => bytes + OVERHEAD * (1 + found.encoded.len()),
    }
}
