//! The loop: wait, take what has come, move what is due, tell the kernel and the workers.

use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use super::jobs::Job;
use super::slot::Role;
use super::state::WorkerEvent;
use super::{Master, Phase};
use crate::exit::Exit;
use crate::scoreboard::SlotId;
use crate::sys::{clock, signal, wait};

/// Two interrupts within this time, in milliseconds, end the server at once.
const IMPATIENCE_MS: u64 = 2_000;

impl Master<'_> {
    /// Serves until the server is told to stop; says how the program ends.
    pub(crate) fn run(mut self) -> Exit {
        loop {
            self.take_signals();
            self.reap();
            self.take_reports();
            self.take_commands();
            self.tick(clock::now_ms());
            self.advance();
            self.steer();
            if let Some(exit) = self.is_over() {
                return self.end(exit);
            }
            self.wait(); // last: after an upgrade there is something to do at once
        }
    }

    fn wait(&self) {
        let now = clock::now_ms();
        let pause = self
            .next_deadline()
            .map(|deadline| deadline.saturating_sub(now));
        let timeout = pause.map_or(PollTimeout::NONE, |pause| {
            PollTimeout::try_from(pause.min(3_600_000)).unwrap_or(PollTimeout::MAX)
        });
        let mut fds: Vec<PollFd<'_>> = self
            .sources()
            .into_iter()
            .map(|(fd, interest)| PollFd::new(fd, interest))
            .collect();
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => tracing::error!(%error, "cannot poll"),
        }
    }

    fn sources(&self) -> Vec<(BorrowedFd<'_>, PollFlags)> {
        let mut sources = Vec::new();
        if let Some(desk) = &self.desk {
            sources.push((desk.signals.as_fd(), PollFlags::POLLIN));
            sources.extend(desk.control.poll_fds());
        }
        let processes = self.slots.iter().flat_map(|slot| slot.processes());
        // A link whose worker has closed it would be ready all the time; its exit is on the way.
        let links = processes.filter(|process| !process.is_mute);
        sources.extend(links.map(|process| (process.link.as_fd(), PollFlags::POLLIN)));
        sources
    }

    fn next_deadline(&self) -> Option<u64> {
        let seats = self.slots.iter().flat_map(|slot| slot.seats());
        let seats = seats.filter_map(|(_, seat)| seat.state.deadline());
        let retiring = self.slots.iter().filter_map(|slot| slot.grace_ends());
        let dumps = self.dumps.iter().map(|dump| dump.until);
        let control = self
            .desk
            .as_ref()
            .and_then(|desk| desk.control.next_deadline_ms());
        let others = [
            self.next_scan(),
            control,
            self.job.as_ref().and_then(Job::deadline),
        ];
        seats
            .chain(retiring)
            .chain(dumps)
            .chain(others.into_iter().flatten())
            .min()
    }

    fn take_signals(&mut self) {
        while let Some(received) = signal::next(&self.desk().signals) {
            tracing::debug!(signal = %received.signal, "signal received");
            // A terminal sends WINCH whenever its window is resized: nobody means the workers.
            if received.signal != Signal::SIGWINCH || !received.from_terminal {
                self.on_signal(received.signal);
            }
        }
    }

    fn on_signal(&mut self, signal: Signal) {
        match signal {
            Signal::SIGHUP => self.request_reload(None),
            Signal::SIGUSR1 => self.reopen_logs(),
            Signal::SIGUSR2 => self.request_upgrade(None),
            Signal::SIGTERM => self.begin_stop(Some(self.stop_deadline()), false, None),
            Signal::SIGQUIT => self.begin_stop(None, false, None),
            Signal::SIGINT => self.on_interrupt(),
            Signal::SIGWINCH => self.pause(),
            Signal::SIGTTIN => self.request_step(true),
            Signal::SIGTTOU => self.request_step(false),
            Signal::SIGPWR => self.dump_all_stacks(),
            _ => {} // CHLD: the loop reaps anyway
        }
    }

    fn on_interrupt(&mut self) {
        let now = clock::now_ms();
        match self.interrupted.replace(now) {
            Some(before) if now.saturating_sub(before) < IMPATIENCE_MS => self.stop_now(None),
            _ => self.begin_stop(Some(self.stop_deadline()), true, None),
        }
    }

    fn reap(&mut self) {
        while let Some((pid, ending)) = wait::reap() {
            self.on_exit(pid, ending);
        }
    }

    /// Moves everything whose time has come.
    fn tick(&mut self, now: u64) {
        let due: Vec<(SlotId, Role)> = self
            .slots
            .iter()
            .flat_map(|slot| slot.seats().map(move |(role, seat)| (slot.id, role, seat)))
            .filter(|(_, _, seat)| {
                seat.state
                    .deadline()
                    .is_some_and(|deadline| now >= deadline)
            })
            .map(|(slot, role, _)| (slot, role))
            .collect();
        for (slot, role) in due {
            self.feed(slot, role, WorkerEvent::Tick);
        }
        self.scan(now);
        self.rotate(now);
        self.collect_stacks(now);
        self.retire_due(now);
        self.desk().control.expire(now);
        self.tidy();
    }

    /// Forgets seats and slots that are empty for good.
    fn tidy(&mut self) {
        self.slots.iter_mut().for_each(super::slot::Slot::tidy);
        self.drop_retired();
    }

    fn is_over(&self) -> Option<Exit> {
        let Phase::Stopping { exit, .. } = &self.phase else {
            return None;
        };
        let anyone = self
            .slots
            .iter()
            .any(|slot| slot.processes().next().is_some());
        (!anyone).then_some(*exit)
    }
}
