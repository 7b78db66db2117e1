//! The arriving side of an upgrade: a fresh image finds the former one's state and goes on with it.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::rc::Rc;

use super::handover::{HANDOVER_VARIABLE, Handover};
use super::plan::raise_file_limit;
use super::request::Request;
use super::rollout::Kind;
use super::rotate::Rotation;
use super::seed::Plan;
use super::start::{RECEIVED, StartError};
use super::upgrade::environment;
use super::{Desk, Master, Phase, Setup, Workload};
use crate::config::{self, Flags, Loaded, Sources};
use crate::control::ControlSocket;
use crate::log;
use crate::scoreboard::Scoreboard;
use crate::sys::{env, exec, fd, shm, signal};

impl<'w> Master<'w> {
    /// Goes on where the previous image of this process stopped. When this image cannot, although
    /// it said so when it was tried, the previous one is returned to.
    ///
    /// # Errors
    /// When the previous state cannot be taken over, nor returned to.
    pub(crate) fn resume(
        setup: Setup,
        handover: &Handover,
        workload: &'w dyn Workload,
    ) -> Result<Self, StartError> {
        // Whatever can go wrong is done before any descriptor is taken over: until then the
        // state is still whole.
        let mut session_secret = handover.session_secret.clone();
        let plan = load(&setup.sources, handover).and_then(|loaded| {
            log::start(&loaded.config.log, &loaded.config.env, &loaded.app_env);
            let plan = Plan::new(loaded, handover.generation).and_then(|mut plan| {
                plan.add_secret(&mut session_secret)?;
                Ok(plan)
            });
            plan.map_err(|error| log::chain(&error))
        });
        match plan {
            Ok(plan) => {
                let mut master = Self::take_over(setup, handover, workload, &Rc::new(plan))?;
                master.session_secret = session_secret;
                Ok(master)
            }
            Err(reason) => Err(StartError::Handover(go_back(&setup, handover, reason))),
        }
    }

    fn take_over(
        mut setup: Setup,
        handover: &Handover,
        workload: &'w dyn Workload,
        plan: &Rc<Plan>,
    ) -> Result<Self, StartError> {
        raise_file_limit();
        signal::ignore_pipe()?;
        env::remove(HANDOVER_VARIABLE)?;
        setup.binary.clone_from(&handover.binary);
        setup.stdio.clone_from(&handover.stdio);
        let control_socket = fd::adopt(handover.control_fd)?;
        let control = ControlSocket::adopt(
            control_socket,
            handover.control_path.clone(),
            handover.control_identity,
        );
        let desk = Desk {
            control,
            signals: signal::receive(&RECEIVED)?,
        };
        let scoreboard = Box::leak(Box::new(Scoreboard::open(fd::adopt(
            handover.scoreboard_fd,
        )?)?));
        let listeners = handover.take_listeners()?;
        let mut master = Self::assemble(
            setup,
            workload,
            desk,
            Rc::clone(plan),
            scoreboard,
            listeners,
        );
        master.slots = handover.take_slots(plan)?;
        master.instance_id.clone_from(&handover.instance_id);
        master.image = handover.image + 1;
        master.started = handover.started;
        master.scaled = handover.scaled;
        master.last_crash.clone_from(&handover.last_crash);
        if let Some(instances) = &handover.instances {
            master.instances.clone_from(instances);
        }
        master.pid_file.clone_from(&handover.pid_file);
        master.rotation = Rotation::resumed(handover.packer);
        master.phase = if handover.is_paused {
            Phase::Paused
        } else {
            Phase::Running
        };
        master.title();
        master.take_over_clients(handover)?;
        Ok(master)
    }

    fn take_over_clients(&mut self, handover: &Handover) -> Result<(), StartError> {
        let callers = handover
            .caller_fds
            .iter()
            .map(|number| Ok(self.desk().control.adopt_client(fd::adopt(*number)?)))
            .collect::<io::Result<Vec<_>>>()?;
        for (number, bytes) in &handover.readers {
            let fd = fd::adopt(*number)?;
            self.desk().control.adopt_reader(fd, bytes);
        }
        for (number, what) in &handover.requests {
            let client = match number {
                None => None,
                Some(number) => Some(self.desk().control.adopt_client(fd::adopt(*number)?)),
            };
            self.requests.push_back(Request {
                client,
                what: what.clone(),
            });
        }
        let program = handover
            .previous
            .as_ref()
            .map(|previous| {
                Ok::<_, io::Error>((
                    File::from(fd::adopt(previous.program_fd)?),
                    previous.clone(),
                ))
            })
            .transpose()?;
        match &handover.returned {
            // Whoever was replaced meanwhile follows the plan of the image we returned from.
            Some(reason) => self.begin_undo(reason.clone(), callers),
            None => {
                self.previous = program;
                let next = Plan::new(
                    Loaded {
                        config: self.plan.config.clone(),
                        app_env: self.plan.app_env.clone(),
                    },
                    self.plan.generation + 1,
                )?;
                tracing::info!("the new binary has taken over, its workers follow");
                self.begin_rollout(Kind::Upgrade, &Rc::new(next), callers);
            }
        }
        Ok(())
    }
}

/// The configuration: from its sources, or, for an image that was returned to, as it was.
fn load(sources: &Sources, handover: &Handover) -> Result<Loaded, String> {
    let (Some(previous), Some(_)) = (&handover.previous, &handover.returned) else {
        return config::load(sources).map_err(|problems| problems.to_string());
    };
    let text = shm::file_of("appserver-config", previous.config.as_bytes())
        .map_err(|error| error.to_string())?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", text.as_raw_fd()));
    let flags = Flags {
        config: Some(path),
        ..Flags::default()
    };
    let sources = Sources {
        flags,
        env: sources.env.clone(),
        cwd: sources.cwd.clone(),
    };
    let mut loaded = config::load(&sources).map_err(|problems| problems.to_string())?;
    loaded.config.file.clone_from(&previous.config_file);
    Ok(loaded)
}

/// Becomes the previous image again, which then reports `reason`. Returns only when that is not
/// possible, with everything that is known.
fn go_back(setup: &Setup, handover: &Handover, reason: String) -> String {
    let (Some(previous), None) = (&handover.previous, &handover.returned) else {
        return reason;
    };
    let program = PathBuf::from(format!("/proc/self/fd/{}", previous.program_fd));
    let text = format!("upgrade failed, everything is as it was: {reason}");
    let attempt = || -> io::Result<std::convert::Infallible> {
        let state = handover.returning(previous, text)?;
        fd::set_cloexec(&state, false)?;
        let number = state.as_raw_fd();
        exec::replace(&program, setup.args.clone(), environment(number))
    };
    match attempt() {
        Ok(never) => match never {},
        Err(error) => format!("{reason}; and the former binary cannot be returned to: {error}"),
    }
}
