//! Numbers and tables for human eyes.

/// Lines under a head, every column as wide as its widest cell, words to the left and numbers to
/// the right (a column whose cells all begin with a letter is of words).
pub(super) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let is_word = |cell: &String| cell.starts_with(|first: char| first.is_alphabetic());
    let columns: [_; N] = std::array::from_fn(|n| {
        let cells = || rows.iter().map(|row| &row[n]);
        let width = cells().map(|cell| cell.chars().count()).max().unwrap_or(0);
        (
            width.max(head[n].len()),
            !rows.is_empty() && cells().all(is_word),
        )
    });
    let line = |cells: [&str; N]| {
        let cells = cells
            .iter()
            .zip(columns)
            .map(|(cell, (width, is_left))| match is_left {
                true => format!("{cell:<width$}"),
                false => format!("{cell:>width$}"),
            });
        let line = cells.collect::<Vec<_>>().join("  ");
        format!("{}\n", line.trim_end())
    };
    let body = rows
        .iter()
        .map(|row| line(row.each_ref().map(String::as_str)));
    std::iter::once(line(head)).chain(body).collect()
}

/// A number with its thousands apart.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Bytes, in the unit that leaves at most four digits.
pub(super) fn memory(bytes: u64) -> String {
    let (mut whole, mut rest) = (bytes, 0);
    for unit in ["B", "KiB", "MiB", "GiB", "TiB"] {
        if whole < 1024 {
            let tenths = rest * 10 / 1024;
            return if unit == "B" {
                format!("{whole} B")
            } else {
                format!("{whole}.{tenths} {unit}")
            };
        }
        (whole, rest) = (whole / 1024, whole % 1024);
    }
    format!("{whole} PiB")
}

/// A length of time, in its two largest units.
pub(super) fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) if seconds < 10 => format!("{seconds}.{}s", ms % 1000 / 100),
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        let counts = [
            (0, "0"),
            (999, "999"),
            (1000, "1 000"),
            (1_234_567, "1 234 567"),
        ];
        for (number, text) in counts {
            assert_eq!(count(number), text);
        }
        let sizes = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (13_002_342, "12.3 MiB"),
            (u64::MAX, "16383 PiB"),
        ];
        for (bytes, text) in sizes {
            assert_eq!(memory(bytes), text);
        }
        let spans = [
            (0, "0.0s"),
            (9_990, "9.9s"),
            (59_999, "59s"),
            (61_000, "1m 1s"),
            (3_600_000, "1h 0m"),
            (90_000_000, "1d 1h"),
        ];
        for (ms, text) in spans {
            assert_eq!(span(ms), text);
        }
    }

    #[test]
    fn an_empty_table_is_its_head() {
        assert_eq!(table(["slot", "pid"], &[]), "slot  pid\n");
    }
}
