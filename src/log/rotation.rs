//! Which log files are put aside, what they are called then, and which old ones go: decisions
//! only, made from what somebody has seen.

use std::time::Duration;

use jiff::Timestamp;

use crate::config;

/// What the configuration says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    size: u64,
    interval: Duration,
    retain: usize,
    pub(crate) compress: bool,
    budget: u64,
}

impl From<&config::Log> for Rules {
    fn from(log: &config::Log) -> Self {
        Self {
            size: log.rotate_size,
            interval: log.rotate_interval,
            retain: usize::try_from(log.retain).unwrap_or(usize::MAX),
            compress: log.compress,
            budget: log.disk_budget,
        }
    }
}

/// An old log file, by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Age {
    /// When it was put aside, in a form that sorts.
    stamp: String,
    /// Tells those of the same second apart.
    nth: u32,
}

/// What an old file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As it was written.
    Plain,
    /// Compressed.
    Packed,
    /// What was left of a compression that did not come to its end.
    Scrap,
}

/// An old file that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Old {
    /// Which log it is of.
    pub(crate) log: usize,
    pub(crate) age: Age,
    pub(crate) form: Form,
    pub(crate) bytes: u64,
}

impl Rules {
    /// Whether a file of so many bytes, last looked at in the period `seen`, is put aside.
    pub(crate) fn is_due(&self, bytes: u64, seen: i64, now: i64) -> bool {
        let is_full = self.size > 0 && bytes >= self.size;
        bytes > 0 && (is_full || seen != now)
    }

    /// The period that a moment of local time is in, in seconds: days begin at midnight.
    pub(crate) fn period(&self, local: i64) -> i64 {
        let interval = i64::try_from(self.interval.as_secs()).unwrap_or(i64::MAX);
        // Less than a second is as often as it is looked at.
        match (self.interval.is_zero(), interval) {
            (true, _) => 0,
            (false, 0) => local,
            (false, interval) => local.div_euclid(interval),
        }
    }

    /// Which of the old files go, the oldest first: those beyond `retain` of their log, and what
    /// does not fit into the budget beside `live` bytes and what `logs` live files may grow to.
    pub(crate) fn doomed(&self, old: &[Old], live: u64, logs: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..old.len()).collect();
        order.sort_by(|a, b| old[*b].age.cmp(&old[*a].age)); // the youngest first
        let reserve = self.size.saturating_mul(logs as u64).max(live);
        let room = self
            .budget
            .saturating_sub(reserve.min(self.budget / 2).max(live));
        let (mut kept, mut bytes) = (vec![0_usize; logs], 0_u64);
        let mut doomed = Vec::new();
        for index in order {
            let file = &old[index];
            let count = kept.get(file.log).copied().unwrap_or(0);
            let fits = self.budget == 0 || bytes.saturating_add(file.bytes) <= room;
            let is_wanted = self.retain == 0 || count < self.retain;
            if file.form == Form::Scrap || !fits || !is_wanted {
                doomed.push(index);
                // What is older than one that does not fit goes too: no holes in history.
                bytes = if fits { bytes } else { u64::MAX };
                continue;
            }
            bytes += file.bytes;
            if let Some(count) = kept.get_mut(file.log) {
                *count += 1;
            }
        }
        doomed.reverse();
        doomed
    }
}

/// What a live file is called when it is put aside: its name, and the time in UTC.
pub(crate) fn old_name(live: &str, now: Timestamp, is_taken: impl Fn(&str) -> bool) -> String {
    let stamp = now.strftime("%Y%m%dT%H%M%SZ");
    let first = format!("{live}.{stamp}");
    if !is_taken(&first) {
        return first;
    }
    let names = (2..=u32::MAX).map(|nth| format!("{live}.{stamp}-{nth}"));
    names
        .into_iter()
        .find(|name| !is_taken(name))
        .unwrap_or(first)
}

/// Whether `name` is that of an old file of the log called `live`.
pub(crate) fn read_name(live: &str, name: &str) -> Option<(Age, Form)> {
    let rest = name.strip_prefix(live)?.strip_prefix('.')?;
    let (rest, form) = match rest.strip_suffix(".gz.tmp") {
        Some(rest) => (rest, Form::Scrap),
        None => match rest.strip_suffix(".gz") {
            Some(rest) => (rest, Form::Packed),
            None => (rest, Form::Plain),
        },
    };
    let (stamp, nth) = match rest.split_once('-') {
        Some((stamp, nth)) => (stamp, nth.parse().ok().filter(|nth| *nth > 1)?),
        None => (rest, 1),
    };
    let is_stamp = stamp.len() == 16
        && stamp.bytes().enumerate().all(|(index, byte)| match index {
            8 => byte == b'T',
            15 => byte == b'Z',
            _ => byte.is_ascii_digit(),
        });
    let stamp = stamp.to_owned();
    is_stamp.then_some((Age { stamp, nth }, form))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules {
            size: 100,
            interval: Duration::from_hours(24),
            retain: 3,
            compress: true,
            budget: 1_000,
        }
    }

    fn old(log: usize, nth: u32, bytes: u64) -> Old {
        let name = format!("a.20261121T1717{nth:02}Z");
        let (age, form) = read_name("a", &name).unwrap();
        Old {
            log,
            age,
            form,
            bytes,
        }
    }

    #[test]
    fn size_and_time_put_a_file_aside() {
        let rules = rules();
        let day = |seconds| rules.period(seconds);
        assert_eq!((day(86_399), day(86_400), day(-1)), (0, 1, -1));
        assert!(!rules.is_due(99, 0, 0));
        assert!(rules.is_due(100, 0, 0));
        assert!(rules.is_due(1, 0, 1));
        assert!(!rules.is_due(0, 0, 1), "an empty file is nothing to keep");
        let never = Rules {
            size: 0,
            interval: Duration::ZERO,
            ..rules
        };
        assert!(!never.is_due(u64::MAX, never.period(0), never.period(1 << 40)));
    }

    #[test]
    fn names_tell_the_time_and_are_never_the_same() {
        let now = Timestamp::from_second(1_795_281_421).unwrap();
        let mut taken = Vec::new();
        for expected in [
            "a.log.20261121T171701Z",
            "a.log.20261121T171701Z-2",
            "a.log.20261121T171701Z-3",
        ] {
            let name = old_name("a.log", now, |name| taken.contains(&name.to_owned()));
            assert_eq!(name, expected);
            taken.push(name);
        }
        let mut ages: Vec<_> = taken
            .iter()
            .map(|name| read_name("a.log", name).unwrap())
            .collect();
        assert!(ages.is_sorted_by_key(|(age, _)| age.clone()));
        ages.dedup();
        assert_eq!(ages.len(), 3);
    }

    #[test]
    fn only_our_own_names_are_read() {
        let form = |name| read_name("a.log", name).map(|(_, form)| form);
        assert_eq!(form("a.log.20261121T171701Z"), Some(Form::Plain));
        assert_eq!(form("a.log.20261121T171701Z-12.gz"), Some(Form::Packed));
        assert_eq!(form("a.log.20261121T171701Z.gz.tmp"), Some(Form::Scrap));
        for name in [
            "a.log",
            "a.log.1",
            "a.log.1.gz",
            "a.log.20261121",
            "a.log.20261121T171701Z-1",
            "a.log.20261121T171701Z-x",
            "a.log.20261121T171701Z.bz2",
            "b.log.20261121T171701Z",
            "a.log.20261121T1717ééZ",
        ] {
            assert_eq!(form(name), None, "{name}");
        }
    }

    #[test]
    fn the_oldest_go_first() {
        let files: Vec<Old> = [3, 1, 5, 2, 4].map(|nth| old(0, nth, 10)).into();
        assert_eq!(rules().doomed(&files, 0, 1), [1, 3]);
        let all = Rules {
            retain: 0,
            ..rules()
        };
        assert!(all.doomed(&files, 0, 1).is_empty());
    }

    #[test]
    fn retain_is_for_each_log_and_the_budget_for_all() {
        let files: Vec<Old> = (0..8)
            .map(|nth| old(usize::from(nth % 2 == 1), nth, 150))
            .collect();
        // Room for 1000 - 2 * 100: five of them.
        let all = Rules {
            retain: 0,
            ..rules()
        };
        assert_eq!(all.doomed(&files, 0, 2), [0, 1, 2]);
        assert_eq!(all.doomed(&files, 700, 2), [0, 1, 2, 3, 4, 5]);
        let two = Rules {
            retain: 2,
            ..rules()
        };
        assert_eq!(two.doomed(&files, 0, 2), [0, 1, 2, 3]);
        let endless = Rules { budget: 0, ..all };
        assert!(endless.doomed(&files, u64::MAX, 2).is_empty());
    }

    #[test]
    fn a_year_stays_within_the_budget() {
        let rules = Rules {
            retain: 0,
            budget: 2_000,
            ..rules()
        };
        let mut files: Vec<Old> = Vec::new();
        for day in 0..365_u32 {
            let (age, form) = read_name("a", &format!("a.2026{day:04}T000000Z")).unwrap();
            files.push(Old {
                log: 0,
                age,
                form,
                bytes: 90 + u64::from(day * 7919 % 30),
            });
            for index in rules.doomed(&files, 0, 1).into_iter().rev() {
                files.remove(index);
            }
            let bytes: u64 = files.iter().map(|file| file.bytes).sum();
            assert!(bytes + 100 <= 2_000, "{bytes}");
        }
        assert!(files.len() >= 15, "{}", files.len());
        assert!(files.is_sorted_by_key(|file| file.age.clone()));
    }

    #[test]
    fn scrap_goes_whatever_its_age() {
        let mut files = vec![old(0, 1, 10), old(0, 2, 10)];
        files[1].form = Form::Scrap;
        assert_eq!(rules().doomed(&files, 0, 1), [1]);
    }
}
