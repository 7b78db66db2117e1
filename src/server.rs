//! placeholder
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use crate::config::{self, Sources};
use crate::control::{Answer, Command, ControlSocket, Description, ListRow, Notice, RowState, Totals};
use crate::exit::Exit;
use crate::master::Workload;
use crate::sys::clock::now_ms;

#[derive(Debug)]
pub(crate) struct Nothing;
impl Workload for Nothing {}

pub(crate) struct Invocation {
    pub(crate) sources: Sources,
    pub(crate) args: Vec<OsString>,
    pub(crate) notify: Option<OwnedFd>,
    pub(crate) stdio: Option<(PathBuf, PathBuf)>,
    pub(crate) daemon: bool,
}

/// A master that only answers.
pub(crate) fn serve(invocation: Invocation, _workload: Box<dyn Workload>) -> Exit {
    let config = match config::load(&invocation.sources) {
        Ok(loaded) => loaded.config,
        Err(problems) => {
            eprintln!("{problems}");
            return Exit::Config;
        }
    };
    let mut control = match ControlSocket::bind(&config.control.socket) {
        Ok(control) => control,
        Err(error) => {
            if let Some(pipe) = invocation.notify {
                let _ = Notice::Failed(error.to_string()).send(pipe);
            }
            return Exit::Failed;
        }
    };
    let text = format!("ready pid {} {:?} {:?} daemon {} {:?}", std::process::id(), invocation.args, config.control.socket, invocation.daemon, invocation.stdio);
    println!("{text}");
    if let Some(pipe) = invocation.notify {
        let _ = Notice::Ready(text).send(pipe);
    }
    let born = now_ms();
    loop {
        let deadline = control.next_deadline_ms().map_or(1000, |d| d.saturating_sub(now_ms()).min(1000));
        let mut fds: Vec<_> = control.poll_fds().into_iter().map(|(fd, flags)| nix::poll::PollFd::new(fd, flags)).collect();
        let _ = nix::poll::poll(&mut fds, u16::try_from(deadline).unwrap_or(1000));
        control.expire(now_ms());
        for (id, command) in control.on_ready() {
            let row = ListRow { slot: 0, pid: Some(42), state: RowState::Serving, generation: 1, uptime_ms: now_ms() - born, connections: 2, inflight: 1, requests: 1234, restarts: 0, rss_bytes: 12_345_678, cpu_percent: 12.5 };
            let answer = match command {
                Command::List => Answer::with_data("", &[row]),
                Command::Describe => Answer::with_data("", &Description { name: config.name.clone(), pid: 1, version: "0".into(), config: None, addresses: vec!["http://127.0.0.1:1".into()], control: config.control.socket.clone(), instance_id: "u".into(), generation: 1, phase: "serving".into(), uptime_ms: now_ms() - born, binary: "/x".into(), kill_timeout_ms: 100, totals: Totals::default(), workers: vec![row] }),
                Command::Stop { instance: None, .. } | Command::Kill => {
                    control.answer(id, &Answer::new(Exit::Done, "stopped"));
                    control.flush(std::time::Duration::from_secs(1));
                    control.unlink();
                    return Exit::Done;
                }
                other => Answer::new(Exit::Done, format!("{other:?}")),
            };
            control.answer(id, &answer);
        }
    }
}

pub(crate) fn check_upgrade(_invocation: Invocation, _workload: Box<dyn Workload>) -> Exit {
    Exit::Done
}
