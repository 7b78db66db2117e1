//! What `describe` prints of sessions and their store.

use super::format::{count, table};
use crate::control::{SessionFigures, Sessions};
use crate::scoreboard::Latency;

/// The line among the totals.
pub(super) fn counted(it: &SessionFigures) -> String {
    if !it.is_any() {
        return "none".to_owned();
    }
    let ops = it.ops.sum();
    format!(
        "{} store operations, {} errors, {} conflicts, {} corrupt, {} late saves, {} evicted",
        count(ops.ok + ops.error),
        count(ops.error),
        count(it.conflicts),
        count(it.corrupt),
        count(it.late_saves),
        count(it.evictions)
    )
}

/// The table of the stores: a line for each slot, and one for all. Nothing without a store.
pub(super) fn stores(it: &Sessions) -> String {
    if it.slots.is_empty() {
        return String::new();
    }
    let head = [
        "slot",
        "store",
        "state",
        "ops",
        "errors",
        "conflicts",
        "reads",
        "mean",
        "p50",
        "p99",
        "max",
        "writes",
        "mean",
        "p50",
        "p99",
        "max",
    ];
    let slots = it.slots.iter();
    let lines: Vec<_> = slots
        .map(|slot| line(slot.slot.to_string(), &slot.figures))
        .chain(std::iter::once(line("all".to_owned(), &it.all)))
        .collect();
    format!("\n{}", table(head, &lines))
}

fn line(slot: String, it: &SessionFigures) -> [String; 16] {
    let ops = it.ops.sum();
    let [reads, read_mean, read_p50, read_p99, read_max] = latency(&it.latency.read);
    let [writes, write_mean, write_p50, write_p99, write_max] = latency(&it.latency.write);
    [
        slot,
        it.store.map_or("none", |kind| kind.as_str()).to_owned(),
        state(it.store_up).to_owned(),
        count(ops.ok + ops.error),
        count(ops.error),
        count(it.conflicts),
        reads,
        read_mean,
        read_p50,
        read_p99,
        read_max,
        writes,
        write_mean,
        write_p50,
        write_p99,
        write_max,
    ]
}

fn state(is_up: Option<bool>) -> &'static str {
    match is_up {
        Some(true) => "up",
        Some(false) => "down",
        None => "unasked",
    }
}

/// The number, the mean, and what half, 99 of 100 and all did not reach.
fn latency(it: &Latency) -> [String; 5] {
    if it.count == 0 {
        let none = || "-".to_owned();
        return ["0".to_owned(), none(), none(), none(), none()];
    }
    [
        count(it.count),
        time(it.mean_us),
        limit(it.p50_us),
        limit(it.p99_us),
        limit(it.max_us),
    ]
}

fn limit(us: u64) -> String {
    if us >= Latency::ENDLESS_US {
        return ">1 s".to_owned();
    }
    #[allow(clippy::cast_precision_loss, reason = "a power of two")]
    let us = us as f64;
    format!("<{}", time(us))
}

/// Microseconds in the unit that leaves at most four digits.
fn time(us: f64) -> String {
    let (number, unit) = match us {
        ..1e3 => (us, "us"),
        ..1e6 => (us / 1e3, "ms"),
        _ => (us / 1e6, "s"),
    };
    match number {
        whole if whole.fract() < 0.05 || whole >= 100.0 => format!("{whole:.0} {unit}"),
        number => format!("{number:.1} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::SlotSessions;
    use crate::scoreboard::StoreKind;

    fn figures() -> SessionFigures {
        let mut it = SessionFigures {
            store: Some(StoreKind::Redis),
            store_up: Some(true),
            conflicts: 3,
            late_saves: 1,
            ..SessionFigures::default()
        };
        it.ops.get.ok = 1200;
        it.ops.set.error = 34;
        it.latency.read = Latency {
            count: 1200,
            mean_us: 104.3,
            p50_us: 128,
            p99_us: 2048,
            max_us: Latency::ENDLESS_US,
        };
        it
    }

    #[test]
    fn the_table_of_stores_has_a_line_for_each_slot_and_one_for_all() {
        let down = SessionFigures {
            store: Some(StoreKind::Redis),
            store_up: Some(false),
            ..SessionFigures::default()
        };
        let sessions = Sessions {
            all: figures(),
            slots: vec![
                SlotSessions {
                    slot: 0,
                    figures: figures(),
                },
                SlotSessions {
                    slot: 12,
                    figures: down,
                },
            ],
        };
        insta::assert_snapshot!(stores(&sessions), @r"
        slot  store  state    ops  errors  conflicts  reads    mean      p50    p99   max  writes  mean  p50  p99  max
           0  redis  up     1 234      34          3  1 200  104 us  <128 us  <2 ms  >1 s       0     -    -    -    -
          12  redis  down       0       0          0      0       -        -      -     -       0     -    -    -    -
         all  redis  up     1 234      34          3  1 200  104 us  <128 us  <2 ms  >1 s       0     -    -    -    -
        ");
    }

    #[test]
    fn the_line_of_sessions_counts_what_went_wrong() {
        let text =
            "1 234 store operations, 34 errors, 3 conflicts, 0 corrupt, 1 late saves, 0 evicted";
        assert_eq!(counted(&figures()), text);
    }

    #[test]
    fn a_server_without_sessions_says_so_and_shows_no_table() {
        assert_eq!(counted(&SessionFigures::default()), "none");
        assert_eq!(stores(&Sessions::default()), "");
    }

    #[test]
    fn times_are_readable() {
        let times = [
            (0.0, "0 us"),
            (0.4, "0.4 us"),
            (128.0, "128 us"),
            (1024.0, "1 ms"),
            (16_384.0, "16.4 ms"),
            (131_072.0, "131 ms"),
            (2_500_000.0, "2.5 s"),
        ];
        for (us, text) in times {
            assert_eq!(time(us), text);
        }
        assert_eq!(limit(1), "<1 us");
        assert_eq!(limit(1 << 20), "<1 s");
        assert_eq!(limit(1 << 21), ">1 s");
    }
}
