//! Forking a worker, and what the child does before the workload takes over.

use std::io;
use std::rc::Rc;

use nix::sys::signal::Signal;
use nix::unistd::{Pid, getpid};

use super::Master;
use super::hooks::Prefork;
use super::link::{Link, Report};
use super::mail::MailSocket;
use super::postbox::Postbox;
use super::seed::{Plan, Seed};
use super::slot::{CpuShare, Process};
use crate::exit::Exit;
use crate::scoreboard::{RowId, SlotId};
use crate::sys::{clock, env, fork, orphan, signal, title, user};

/// The signals a worker reads.
const RECEIVED: [Signal; 4] = [
    Signal::SIGTERM,
    Signal::SIGQUIT,
    Signal::SIGINT,
    Signal::SIGUSR1,
];
/// Those that are the master's business, though they may reach the whole group.
const IGNORED: [Signal; 4] = [
    Signal::SIGHUP,
    Signal::SIGUSR2,
    Signal::SIGTTIN,
    Signal::SIGTTOU,
];

impl Master<'_> {
    /// Forks a worker for `slot`.
    pub(super) fn spawn(&mut self, slot: SlotId, plan: &Rc<Plan>) -> io::Result<Process> {
        let row = self
            .free_row()
            .ok_or_else(|| io::Error::other("the scoreboard is full"))?;
        self.before_fork(plan);
        let (ours, theirs) = Link::pair()?;
        let (our_mail, their_mail) = MailSocket::pair()?;
        self.scoreboard.row(row).open_for(slot, plan.generation);
        let born = clock::now_ms();
        let master = getpid();
        let mut ours = Some((ours, our_mail));
        let pid = fork::fork(|| {
            ours = None; // a worker that held it would never see the master's end
            self.child(slot, row, (theirs, their_mail), plan, master)
                .code()
        })?;
        let (link, mail) = ours.ok_or_else(|| io::Error::other("the link is gone"))?;
        self.scoreboard.row(row).set_pid(pid.as_raw());
        tracing::info!(%slot, %pid, generation = plan.generation, "worker forked");
        Ok(Process {
            pid,
            row,
            link,
            mail: Postbox::new(mail),
            generation: plan.generation,
            image: self.image,
            born,
            adopts: std::collections::BTreeSet::new(),
            is_stalled: false,
            is_mute: false,
            failure: None,
            cpu: CpuShare {
                at: born,
                ..CpuShare::default()
            },
        })
    }

    /// Tells the program that the first worker of a generation is about to be forked.
    fn before_fork(&mut self, plan: &Plan) {
        let is_first = self.preforked.is_none_or(|before| plan.generation > before);
        if let Some(hooks) = self.workload.hooks().filter(|_| is_first) {
            self.preforked = Some(plan.generation);
            hooks.before_fork(&Prefork {
                generation: plan.generation,
                name: plan.config.name.clone(),
            });
        }
    }

    fn free_row(&self) -> Option<RowId> {
        let used: Vec<RowId> = self
            .slots
            .iter()
            .flat_map(|slot| slot.processes().map(|p| p.row))
            .collect();
        self.scoreboard.free_row(|row| used.contains(&row))
    }

    /// What happens in the child. Nothing here may touch what the master goes on using outside:
    /// memory is a copy, but open files are shared.
    fn child(
        &mut self,
        slot: SlotId,
        row: RowId,
        (link, mail): (Link, MailSocket),
        plan: &Rc<Plan>,
        master: Pid,
    ) -> Exit {
        let listeners = std::mem::take(&mut self.listeners);
        for other in self.plans().iter().filter(|other| !Rc::ptr_eq(other, plan)) {
            other.access_log.take(); // only this process's copy
        }
        self.close_own();
        let failed = |link: &Link, what: &str, error: &dyn std::fmt::Display| {
            let reason = format!("{what}: {error}");
            tracing::error!(%slot, "worker cannot boot: {reason}");
            let _ = link.send(&Report::failed(reason), &[]); // the master may be gone
            Exit::Failed
        };
        let signals = match signal::reset(&RECEIVED, &IGNORED) {
            Ok(signals) => signals,
            Err(error) => return failed(&link, "cannot receive signals", &error),
        };
        let name = &plan.config.name;
        title::set(
            &format!(
                "appserver: worker {slot} of {name}, generation {}",
                plan.generation
            ),
            "appserver",
        );
        if let Err(error) = self.settle(slot, plan, master) {
            return failed(&link, "cannot settle in", &error);
        }
        let seed = Seed {
            slot,
            row,
            scoreboard: self.scoreboard,
            listeners,
            link,
            mail: Some(mail),
            signals,
            plan: Rc::clone(plan),
            instance_id: self.instance_id.clone(),
        };
        self.workload.run(seed)
    }

    /// Environment, identity, and the tie to the master's life: in this order, since a change of
    /// user cuts the tie.
    fn settle(&self, slot: SlotId, plan: &Plan, master: Pid) -> io::Result<()> {
        for (name, value) in &plan.app_env {
            env::set(name, value)?;
        }
        env::set("APPSERVER_WORKER_ID", slot.to_string())?;
        env::set("NODE_APP_INSTANCE", slot.to_string())?; // what PM2's applications read
        env::set("APPSERVER_GENERATION", plan.generation.to_string())?;
        env::set("APPSERVER_INSTANCE_ID", &self.instance_id)?;
        if let Some(identity) = plan.identity {
            user::become_user(identity)?;
        }
        orphan::follow_parent(master, plan.config.workers.kill_timeout)
    }

    /// Closes, in a child, what belongs to the master alone: its control socket and clients, its
    /// signals, the links to the child's siblings, the program to return to.
    pub(super) fn close_own(&mut self) {
        self.desk = None;
        self.slots.clear();
        self.job = None;
        self.notify = None;
        self.previous = None;
    }
}
