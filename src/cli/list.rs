//! `list` and `describe`: what the server says about itself, for humans and for programs.

use std::path::Path;

use serde::de::DeserializeOwned;

use super::failure::Failure;
use super::format::{count, memory, span, table};
use super::outcome::Outcome;
use super::sessions;
use super::verbs::AT_ONCE;
use crate::control::{Answer, Command, Description, ListRow, call};
use crate::exit::Exit;

/// `list`.
pub(super) fn list(path: &Path) -> Result<Outcome, Failure> {
    show(
        call(path, &Command::List, Some(AT_ONCE))?,
        |rows: Vec<ListRow>| workers(&rows),
    )
}

/// `describe`.
pub(super) fn describe(path: &Path) -> Result<Outcome, Failure> {
    show(
        call(path, &Command::Describe, Some(AT_ONCE))?,
        |it: Description| description(&it),
    )
}

/// Shows the data of an answer; without success there is none.
fn show<T: DeserializeOwned>(
    answer: Answer,
    text: impl FnOnce(T) -> String,
) -> Result<Outcome, Failure> {
    if answer.exit != Exit::Done.code() {
        return Ok(Outcome::Said(answer));
    }
    let json = answer.data.unwrap_or_default();
    let value = T::deserialize(&json).map_err(Failure::Unreadable)?;
    Ok(Outcome::View {
        text: text(value),
        json,
    })
}

/// The table of `list`.
fn workers(rows: &[ListRow]) -> String {
    let head = [
        "slot", "pid", "state", "gen", "uptime", "conns", "inflight", "requests", "restarts",
        "memory", "cpu",
    ];
    let lines = rows.iter().map(|row| match row.pid {
        Some(pid) => worker(row, pid.to_string(), span(row.uptime_ms)),
        None => worker(row, "-".to_owned(), "-".to_owned()),
    });
    table(head, &lines.collect::<Vec<_>>())
}

fn worker(row: &ListRow, pid: String, uptime: String) -> [String; 11] {
    [
        row.slot.to_string(),
        pid,
        row.state.as_str().to_owned(),
        row.generation.to_string(),
        uptime,
        count(row.connections),
        count(row.inflight),
        count(row.requests),
        count(row.restarts),
        memory(row.rss_bytes),
        format!("{:.1}%", row.cpu_percent),
    ]
}

fn description(it: &Description) -> String {
    let totals = &it.totals;
    let config = it
        .config
        .as_ref()
        .map_or("none".to_owned(), |file| file.display().to_string());
    let facts = [
        ("name", it.name.clone()),
        ("pid", it.pid.to_string()),
        ("version", it.version.clone()),
        ("phase", it.phase.clone()),
        ("uptime", span(it.uptime_ms)),
        ("generation", it.generation.to_string()),
        ("instance id", it.instance_id.clone()),
        ("folder", it.folder.display().to_string()),
        ("listens at", it.addresses.join(", ")),
        ("configuration", config),
        ("control socket", it.control.display().to_string()),
        ("program", it.binary.display().to_string()),
        ("kill timeout", span(it.kill_timeout_ms)),
        ("requests", count(totals.requests)),
        ("connections", accepted(it)),
        (
            "bytes sent",
            format!(
                "{} ({})",
                count(totals.bytes_sent),
                memory(totals.bytes_sent)
            ),
        ),
        ("responses", responses(it)),
        ("failures", failures(it)),
        ("stalled", stalled(it)),
        ("loop held", format!("{} times", count(totals.blocked))),
        ("access log", access_log(it)),
        ("sessions", sessions::counted(&it.session.all)),
        ("last crash", last_crash(it)),
    ];
    let lines: Vec<_> = facts
        .iter()
        .map(|(name, fact)| format!("{name:<16}{fact}\n"))
        .collect();
    let stores = sessions::stores(&it.session);
    format!("{}\n{}{stores}", lines.concat(), workers(&it.workers))
}

/// The slots whose worker does not react: `list` calls them serving, as their process does.
fn stalled(it: &Description) -> String {
    match &*it.stalled {
        [] => "none".to_owned(),
        slots => slots
            .iter()
            .map(u16::to_string)
            .collect::<Vec<_>>()
            .join(", "),
    }
}

/// How and where a worker ended last, and the request that is the first suspect.
fn last_crash(it: &Description) -> String {
    let Some(crash) = &it.last_crash else {
        return "none".to_owned();
    };
    let suspect = match crash.requests.first() {
        Some(request) => format!(", while it ran {request}"),
        None => String::new(),
    };
    format!(
        "{}, slot {}, {}{suspect}",
        crash.at, crash.slot, crash.ending
    )
}

fn accepted(it: &Description) -> String {
    let totals = &it.totals;
    let (all, off, adopted) = (totals.accepted, totals.handed_off, totals.adopted);
    format!(
        "{} accepted, {} handed off, {} adopted",
        count(all),
        count(off),
        count(adopted)
    )
}

fn responses(it: &Description) -> String {
    let totals = &it.totals;
    let classes = [
        totals.responses_1xx,
        totals.responses_2xx,
        totals.responses_3xx,
        totals.responses_4xx,
        totals.responses_5xx,
    ];
    let classes = classes
        .iter()
        .zip(1..)
        .map(|(number, class)| format!("{class}xx {number}"));
    classes.collect::<Vec<_>>().join(", ")
}

fn failures(it: &Description) -> String {
    let totals = &it.totals;
    format!(
        "{} panics, {} timeouts, {} broken off, {} shed",
        count(totals.panics),
        count(totals.timeouts),
        count(totals.broken),
        count(totals.shed)
    )
}

fn access_log(it: &Description) -> String {
    let (written, lost) = (it.totals.log_lines, it.totals.log_dropped);
    format!("{} lines, {} lost", count(written), count(lost))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::RowState;

    #[test]
    fn the_table_of_list_is_aligned() {
        let serving = ListRow {
            slot: 0,
            pid: Some(4711),
            state: RowState::Serving,
            generation: 12,
            uptime_ms: 3_723_000,
            connections: 16,
            inflight: 2,
            requests: 1_234_567,
            restarts: 0,
            rss_bytes: 13_002_342,
            cpu_percent: 7.5,
        };
        let vacant = ListRow {
            slot: 10,
            pid: None,
            state: RowState::Cooling,
            generation: 0,
            uptime_ms: 0,
            connections: 0,
            inflight: 0,
            requests: 3,
            restarts: 4,
            rss_bytes: 0,
            cpu_percent: 0.0,
        };
        insta::assert_snapshot!(workers(&[serving, vacant]), @r"
        slot   pid  state    gen  uptime  conns  inflight   requests  restarts    memory   cpu
           0  4711  serving   12   1h 2m     16         2  1 234 567         0  12.3 MiB  7.5%
          10     -  cooling    0       -      0         0          3         4       0 B  0.0%
        ");
    }

    #[test]
    fn a_refusal_is_passed_on_and_a_strange_answer_is_an_error() {
        let refused = show(Answer::new(Exit::Failed, "no"), |(): ()| String::new()).unwrap();
        assert!(matches!(refused, Outcome::Said(answer) if answer.message == "no"));
        let strange = Answer::with_data("", &"rows");
        let error = show(strange, |rows: Vec<ListRow>| workers(&rows)).unwrap_err();
        assert_eq!(error.exit(), Exit::Failed);
    }
}
