//! Where a worker stands that no longer turns: its own signal handler leaves the return
//! addresses in its row, and a forked child, which may take its time and memory, names them.

use std::fmt::Write as _;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::Master;
use crate::scoreboard::{RowId, SlotId};
use crate::sys::{clock, fork, proc, signal, stack};

/// How long a stack may take to arrive, in milliseconds.
const PATIENCE_MS: u64 = 500;

/// A stack that was asked for.
#[derive(Debug)]
pub(super) struct Dump {
    slot: SlotId,
    pid: Pid,
    row: RowId,
    /// Which image of the master forked that worker.
    image: u32,
    /// How many stacks the row had held before.
    seen: u64,
    /// What it is wanted for.
    reason: Reason,
    /// When it is given up.
    pub(super) until: u64,
}

/// Why a stack is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// An operator asked (`PWR`).
    Asked,
    /// The worker does not turn any more.
    Hung,
}

impl Master<'_> {
    /// Asks every worker for its stack.
    pub(super) fn dump_all_stacks(&mut self) {
        let processes: Vec<_> = self
            .slots
            .iter()
            .flat_map(|slot| slot.processes().map(|p| (slot.id, p.pid, p.row, p.image)))
            .collect();
        for (slot, pid, row, image) in processes {
            self.ask_for_stack(slot, pid, row, image, Reason::Asked);
        }
    }

    pub(super) fn ask_for_stack(
        &mut self,
        slot: SlotId,
        pid: Pid,
        row: RowId,
        image: u32,
        reason: Reason,
    ) {
        let seen = stack::sequence(self.scoreboard.row(row).stack_area());
        let until = clock::now_ms() + PATIENCE_MS;
        if signal::send_to_main_thread(pid, Signal::SIGPWR).is_ok() {
            self.dumps.push(Dump {
                slot,
                pid,
                row,
                image,
                seen,
                reason,
                until,
            });
        }
    }

    /// Logs the stacks that have arrived, and what is known of those that have not.
    pub(super) fn collect_stacks(&mut self, now: u64) {
        for dump in std::mem::take(&mut self.dumps) {
            let area = self.scoreboard.row(dump.row).stack_area();
            let arrived = stack::sequence(area) != dump.seen;
            match (arrived, now >= dump.until) {
                (true, _) => self.log_stack(&dump),
                (false, true) => {
                    let (slot, pid) = (dump.slot, dump.pid);
                    let whereabouts = proc::whereabouts(pid);
                    dump.log(&format!(
                        "stack of worker {slot}, pid {pid}, unknown, it does not react: {whereabouts}"
                    ));
                }
                (false, false) => self.dumps.push(dump),
            }
        }
    }

    /// A process has ended: what it left is logged now, since its row may become another's.
    pub(super) fn end_dumps(&mut self, pid: Pid) {
        for dump in std::mem::take(&mut self.dumps) {
            let area = self.scoreboard.row(dump.row).stack_area();
            if dump.pid != pid {
                self.dumps.push(dump);
            } else if stack::sequence(area) == dump.seen {
                let slot = dump.slot;
                dump.log(&format!(
                    "stack of worker {slot}, pid {pid}, unknown, it has gone"
                ));
            } else {
                self.log_stack(&dump);
            }
        }
    }

    fn log_stack(&mut self, dump: &Dump) {
        let addresses = stack::addresses(self.scoreboard.row(dump.row).stack_area());
        let who = format!("stack of worker {}, pid {}", dump.slot, dump.pid);
        if dump.image != self.image {
            let text: Vec<String> = addresses.iter().map(|a| format!("{a:#x}")).collect();
            dump.log(&format!(
                "{who}, of the binary before the upgrade: {}",
                text.join(" ")
            ));
            return;
        }
        let named = fork::fork(|| {
            self.close_own();
            dump.log(&format!("{who}:\n{}", name(&addresses)));
            0
        });
        if let Err(error) = named {
            dump.log(&format!(
                "{who}: cannot fork to name {addresses:x?}: {error}"
            ));
        }
    }
}

impl Dump {
    /// What an operator asked for is no error; what a hung worker left is.
    fn log(&self, text: &str) {
        match self.reason {
            Reason::Asked => tracing::info!("{text}"),
            Reason::Hung => tracing::error!("{text}"),
        }
    }
}

/// One line per frame: number, function, file and line as far as they are known. What lies below
/// the worker's own first function is the master's, at the moment of the fork, and left out.
fn name(addresses: &[usize]) -> String {
    const FIRST: &str = "worker::boot::live";
    let mut text = String::new();
    for (depth, address) in addresses.iter().enumerate() {
        // The first is where the thread stands. The others are where calls return to: the call
        // itself is right before.
        let inside = if depth == 0 {
            *address
        } else {
            address.saturating_sub(1)
        };
        let (mut is_known, mut is_first) = (false, false);
        backtrace::resolve(std::ptr::without_provenance_mut(inside), |symbol| {
            is_known = true;
            let function = symbol
                .name()
                .map_or_else(|| "?".to_owned(), |name| format!("{name:#}"));
            is_first |= function.contains(FIRST) || function.starts_with("live<");
            let function = without_arguments(&function);
            let _ = write!(text, "  {depth:>2}: {function}"); // a String takes all
            if let (Some(file), Some(line)) = (symbol.filename(), symbol.lineno()) {
                let _ = write!(text, " at {}:{line}", file.display());
            }
            text.push('\n');
        });
        if !is_known {
            let _ = writeln!(text, "  {depth:>2}: {address:#x}");
        }
        if is_first {
            break;
        }
    }
    text
}

/// A function's name without the types it is used with: those of an optimised future fill a page.
fn without_arguments(name: &str) -> String {
    let (mut text, mut depth, mut before) = (String::new(), 0_usize, ' ');
    for letter in name.chars() {
        let follows_name = before.is_alphanumeric() || matches!(before, '_' | '}');
        match letter {
            '<' if depth > 0 || follows_name => depth += 1,
            '>' if depth > 0 && before != '-' => depth -= 1, // but not that of an arrow
            _ if depth == 0 => text.push(letter),
            _ => {}
        }
        before = letter;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::without_arguments;

    #[test]
    fn types_are_left_out_and_names_stay() {
        for (name, short) in [
            ("shop::checkout", "shop::checkout"),
            ("poll<Oneshot<Site, Request<Body>>>", "poll"),
            ("{closure#0}<fn(u8) -> Option<u8>>", "{closure#0}"),
            ("<Box<F> as Future>::poll", "<Box as Future>::poll"),
            (
                "<fn() -> T as FnOnce<()>>::call",
                "<fn() -> T as FnOnce>::call",
            ),
        ] {
            assert_eq!(without_arguments(name), short);
        }
    }
}
