//! The two databases of the file, and what happens to them within a transaction: the records by
//! their keys, and an index of those that expire, the next one first.

use std::io::Write;
use std::ops::Bound;
use std::time::Duration;

use bytes::Bytes;
use heed::{CommitOrAbort, Database, Env, RoTxn, RwTxn, WithoutTls, types};

use super::super::{Expected, Page, Swap};
use super::record::{HEADER, MOMENT, Moment, Record, line, of_line};

/// How many keys are looked at in one go.
const PAGE: usize = 256;

type Table = Database<'static, types::Bytes, types::Bytes>;

/// A change, which happens as a whole or not at all.
#[derive(Debug, Clone)]
pub(super) enum Change {
    /// Sets a key.
    Set {
        key: Bytes,
        value: Bytes,
        until: Moment,
    },
    /// Moves the end of a key.
    Touch {
        key: Bytes,
        until: Moment,
        ttl: Duration,
    },
    /// Deletes a key; if `held` is given, only if it holds that.
    Delete { key: Bytes, held: Option<Bytes> },
    /// Sets a key that holds what is expected.
    Swap {
        key: Bytes,
        expected: Expected,
        value: Bytes,
        until: Moment,
    },
    /// Deletes some of what is over.
    Sweep,
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was made.
    Done,
    /// Whether there was anything to change.
    Was(bool),
    /// Of a swap.
    Swapped(Swap),
    /// How many lines of the index are gone.
    Swept(usize),
}

/// What is thrown away at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waste {
    /// Only what is over by then.
    pub(super) until: Moment,
    /// So many records.
    pub(super) records: usize,
    /// Once it comes to so many bytes, no more.
    pub(super) bytes: usize,
}

/// The databases; valid for as long as their environment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tables {
    records: Table,
    expiry: Table,
}

impl Tables {
    /// Those of a file that somebody else has open already; nothing if they are not there.
    pub(super) fn find(env: &Env<WithoutTls>) -> heed::Result<Option<Self>> {
        let made = env.open_databases_and_commit(env.read_txn()?, |open, txn| {
            let records = open.open_database(txn, Some("records"))?;
            let expiry = open.open_database(txn, Some("expiry"))?;
            Ok::<_, heed::Error>(match records.zip(expiry) {
                Some(tables) => CommitOrAbort::Commit(tables),
                None => CommitOrAbort::Abort(()),
            })
        })?;
        let tables = made.commit();
        Ok(tables.map(|(records, expiry)| Self { records, expiry }))
    }

    /// The same, made if need be; waits for other writers.
    pub(super) fn make(env: &Env<WithoutTls>) -> heed::Result<Option<Self>> {
        let made = env.create_databases_and_commit(env.write_txn()?, |make, txn| {
            let records = make.create_database(txn, Some("records"))?;
            let expiry = make.create_database(txn, Some("expiry"))?;
            Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit((records, expiry)))
        })?;
        let tables = made.commit();
        Ok(tables.map(|(records, expiry)| Self { records, expiry }))
    }

    /// What a key holds and is not over.
    pub(super) fn get<'t>(
        &self,
        txn: &'t RoTxn<'_>,
        key: &[u8],
        now: Moment,
    ) -> heed::Result<Option<Record<'t>>> {
        let record = self.records.get(txn, key)?.and_then(Record::read);
        Ok(record.filter(|record| !record.until.is_past(now)))
    }

    /// Some keys, from `first` on, that begin with `prefix`.
    pub(super) fn page(
        &self,
        txn: &RoTxn<'_>,
        prefix: &[u8],
        first: &[u8],
        now: Moment,
    ) -> heed::Result<Page> {
        let mut page = Page::default();
        let from = if first.is_empty() {
            Bound::Unbounded
        } else {
            Bound::Included(first)
        };
        let found = self.records.range(txn, &(from, Bound::Unbounded))?;
        for (count, entry) in found.enumerate() {
            let (key, bytes) = entry?;
            if !key.starts_with(prefix) {
                break;
            }
            if count == PAGE {
                page.next = Some(Bytes::copy_from_slice(key));
                break;
            }
            if Record::read(bytes).is_some_and(|record| !record.until.is_past(now)) {
                page.keys.push(Bytes::copy_from_slice(key));
            }
        }
        Ok(page)
    }

    /// Makes a change.
    pub(super) fn apply(
        &self,
        txn: &mut RwTxn<'_>,
        change: &Change,
        now: Moment,
    ) -> heed::Result<Outcome> {
        match change {
            Change::Set { key, value, until } => {
                self.put(txn, key, value, *until, now)?;
                Ok(Outcome::Done)
            }
            Change::Touch { key, until, ttl } => {
                let Some(record) = self.get(txn, key, now)? else {
                    return Ok(Outcome::Was(false));
                };
                if record.until.is_moved_by(*until, *ttl) {
                    let value = record.value.to_vec();
                    self.put(txn, key, &value, *until, now)?;
                }
                Ok(Outcome::Was(true))
            }
            Change::Delete { key, held } => {
                let is_held = match (self.get(txn, key, now)?, held) {
                    (None, _) => false,
                    (Some(_), None) => true,
                    (Some(record), Some(held)) => record.value == held,
                };
                if is_held {
                    self.remove(txn, key)?;
                }
                Ok(Outcome::Was(is_held))
            }
            Change::Swap {
                key,
                expected,
                value,
                until,
            } => {
                let swap = match (self.get(txn, key, now)?, expected) {
                    (None, Expected::Value(_)) => Swap::Missing,
                    (Some(record), Expected::Value(seen)) if record.value == seen => Swap::Done,
                    (Some(record), _) => Swap::Differs(Bytes::copy_from_slice(record.value)),
                    (None, Expected::Nothing) => Swap::Done,
                };
                if swap == Swap::Done {
                    self.put(txn, key, value, *until, now)?;
                }
                Ok(Outcome::Swapped(swap))
            }
            Change::Sweep => {
                let waste = Waste {
                    until: now,
                    records: PAGE,
                    bytes: usize::MAX,
                };
                Ok(Outcome::Swept(self.throw_away(txn, waste)?))
            }
        }
    }

    /// Deletes what expires first; how many records that were.
    pub(super) fn throw_away(&self, txn: &mut RwTxn<'_>, waste: Waste) -> heed::Result<usize> {
        let (mut lines, mut bytes) = (Vec::new(), 0);
        for entry in self.expiry.iter(txn)? {
            let (line, _) = entry?;
            let is_due = of_line(line).is_none_or(|(until, _)| until.is_past(waste.until));
            if !is_due || lines.len() == waste.records || bytes >= waste.bytes {
                break;
            }
            if let Some((_, key)) = of_line(line) {
                let length = self.records.get(txn, key)?.map_or(0, <[u8]>::len);
                bytes += length + key.len() + line.len();
            }
            lines.push(line.to_vec());
        }
        for line in &lines {
            self.expiry.delete(txn, line)?;
            let Some((until, key)) = of_line(line) else {
                continue;
            };
            let record = self.records.get(txn, key)?.and_then(Record::read);
            if record.is_some_and(|record| record.until == until) {
                self.records.delete(txn, key)?;
            }
        }
        Ok(lines.len())
    }

    /// Sets a key; if its time is over already, that is deleting it.
    fn put(
        &self,
        txn: &mut RwTxn<'_>,
        key: &[u8],
        value: &[u8],
        until: Moment,
        now: Moment,
    ) -> heed::Result<()> {
        if until.is_past(now) {
            return self.remove(txn, key);
        }
        self.forget(txn, key)?;
        let length = HEADER + value.len();
        self.records.put_reserved(txn, key, length, |space| {
            space.write_all(&Record::header(until))?;
            space.write_all(value)
        })?;
        if until < Moment::NEVER {
            self.expiry.put(txn, &line(until, key), &[])?;
        }
        Ok(())
    }

    fn remove(&self, txn: &mut RwTxn<'_>, key: &[u8]) -> heed::Result<()> {
        self.forget(txn, key)?;
        self.records.delete(txn, key)?;
        Ok(())
    }

    /// Deletes a key's line in the index.
    fn forget(&self, txn: &mut RwTxn<'_>, key: &[u8]) -> heed::Result<()> {
        let record = self.records.get(txn, key)?.and_then(Record::read);
        if let Some(until) = record.map(|record| record.until)
            && until < Moment::NEVER
        {
            self.expiry.delete(txn, &line(until, key))?;
        }
        Ok(())
    }

    /// How many pages the records and the index take.
    pub(super) fn pages(&self, txn: &RoTxn<'_>) -> heed::Result<usize> {
        let mut pages = 0;
        for table in [self.records, self.expiry] {
            let stat = table.stat(txn)?;
            pages += stat.branch_pages + stat.leaf_pages + stat.overflow_pages;
        }
        Ok(pages)
    }

    /// How many records and how many lines there are.
    #[cfg(test)]
    pub(super) fn count(&self, txn: &RoTxn<'_>) -> heed::Result<(u64, u64)> {
        Ok((self.records.len(txn)?, self.expiry.len(txn)?))
    }
}

/// What a record takes at least.
pub(super) fn weight(key: &[u8], value: &[u8]) -> usize {
    2 * key.len() + MOMENT + HEADER + value.len()
}
