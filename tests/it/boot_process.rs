//! Who the processes are: titles, users, limits, PID 1.

use std::process::{Command, Stdio};

use nix::pty::openpty;
use nix::sys::signal::Signal;
use nix::unistd::{Uid, User, ttyname};

use crate::harness::{Appserver, process, send, server_program, wait};

#[test]
fn titles_can_be_read_by_a_human() {
    let server = Appserver::new().config("name = \"shop\"").start();
    let master = process::command_line(server.pid());
    assert!(
        master.contains("shop") && master.contains("master"),
        "{master}"
    );
    for row in server.list() {
        let title = process::command_line(row.pid.unwrap());
        let slot = row.slot.to_string();
        let words = ["shop", "worker", &slot];
        assert!(words.iter().all(|word| title.contains(word)), "{title}");
    }
}

#[test]
fn the_environment_of_a_worker_survives_its_title() {
    let name = "TEST_LONG_VALUE";
    let server = Appserver::new()
        .env(name, &"x".repeat(2000))
        .workers(1)
        .start();
    assert_eq!(server.get("/").status, 200);
}

#[test]
fn workers_die_with_the_master() {
    let mut server = Appserver::new().start();
    let pids = server.pids();
    send(server.pid(), Signal::SIGKILL);
    assert_eq!(server.wait_end(), -9);
    assert!(pids.into_iter().all(|pid| !process::is_alive(pid)));
}

#[test]
fn blocked_workers_die_with_the_master_too() {
    let builder = Appserver::fixture().workers(1);
    let mut server = builder.config("[workers]\nkill_timeout = \"1s\"").start();
    let mut client = server.connect();
    client.send(crate::harness::client::get("/block?ms=600000"));
    server.wait_until("the worker has the request", |s| s.list()[0].inflight == 1);
    send(server.pid(), Signal::SIGKILL);
    assert_eq!(server.wait_end(), -9);
}

#[test]
fn a_server_starts_where_another_was_killed() {
    let mut first = Appserver::new().start();
    send(first.pid(), Signal::SIGKILL);
    first.wait_end();
    let control = first.control().display().to_string();
    let second = first.begin_with(&["start", "--control", &control, "--listen", "127.0.0.1:0"]);
    let output = second.finish();
    assert_eq!(output.code, 0, "{output:?}");
    first.must(&["kill"]);
}

// === open files ===

/// Runs the rest of the line with these limits of open files.
fn limited(limits: &str) -> [String; 4] {
    [
        "sh".into(),
        "-c".into(),
        format!("{limits}; exec \"$@\""),
        "sh".into(),
    ]
}

#[test]
fn the_limit_of_open_files_is_raised_to_the_hard_one() {
    let wrapper = limited("ulimit -Sn 256");
    let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
    let server = Appserver::new().wrapper(&wrapper).start();
    for pid in server.pids().into_iter().chain([server.pid()]) {
        let (soft, hard) = process::open_files_limit(pid).unwrap();
        assert_eq!(soft, hard);
        assert_ne!(soft, "256");
    }
}

#[test]
fn a_limit_that_cannot_carry_max_connections_is_warned_of() {
    let wrapper = limited("ulimit -Sn 200; ulimit -Hn 200");
    let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
    let server = Appserver::new()
        .wrapper(&wrapper)
        .config("max_connections = 1000")
        .start();
    server.wait_until("the warning names key, need and limit", |s| {
        s.journal()
            .has_line(&["WARN", "max_connections", "1256", "200"])
    });
}

// === as root ===

#[test]
fn workers_of_root_become_the_user() {
    if !Uid::effective().is_root() {
        eprintln!("not tried: only root can become somebody else");
        return;
    }
    let server = Appserver::new()
        .config("user = \"nobody\"")
        .allow(&["SIGKILL"])
        .start();
    let nobody = User::from_name("nobody").unwrap().unwrap().uid.as_raw();
    assert_eq!(process::owner(server.pid()), Some(0));
    for pid in server.pids() {
        assert_eq!(process::owner(pid), Some(nobody));
    }
    assert_eq!(server.get("/").status, 200);
    assert!(
        !server.journal().has_line(&["WARN", "root"]),
        "no warning with a user"
    );
    // A respawned and a reloaded worker are the same.
    send(*server.pids().first().unwrap(), Signal::SIGKILL);
    server.wait_until("the worker is respawned", |s| s.pids().len() == 2);
    server.must(&["reload"]);
    assert!(
        server
            .pids()
            .into_iter()
            .all(|pid| process::owner(pid) == Some(nobody))
    );
}

#[test]
fn workers_that_dropped_privileges_die_with_the_master() {
    if !Uid::effective().is_root() {
        eprintln!("not tried: only root can become somebody else");
        return;
    }
    let mut server = Appserver::new().config("user = \"nobody\"").start();
    send(server.pid(), Signal::SIGKILL);
    assert_eq!(server.wait_end(), -9);
}

#[test]
fn root_without_a_user_is_warned_once() {
    if !Uid::effective().is_root() {
        return; // nothing to warn of
    }
    let server = Appserver::new().workers(3).start();
    server.must(&["reload"]);
    assert_eq!(
        server.journal().count(&["WARN", "root"]),
        1,
        "{}",
        server.journal().text()
    );
}

#[test]
fn a_user_that_does_not_exist_is_refused() {
    let output = Appserver::new().config("user = \"no-such-user\"").run();
    assert_eq!(output.code, 78, "{output:?}");
    assert!(output.stderr.contains("no-such-user"), "{output:?}");
}

#[test]
fn the_server_can_be_pid_1() {
    // A container's situation: orphans become children of the server, and signals without a
    // handler are not delivered to it.
    let unshare = ["unshare", "--fork", "--pid", "--mount-proc", "--kill-child"];
    let works = Command::new(unshare[0])
        .args(&unshare[1..])
        .arg("true")
        .status();
    if !works.is_ok_and(|status| status.success()) {
        eprintln!("this user may not make a PID namespace: nothing was tested");
        return;
    }
    let mut server = Appserver::new().wrapper(&unshare).spawn();
    server.wait_until("it serves", |s| {
        s.try_list()
            .is_some_and(|rows| crate::harness::all_serve(&rows, 2))
    });
    let inner = process::children(server.pid())
        .first()
        .map(|child| child.pid)
        .unwrap();
    // An orphan inside: its parent ends, the server inherits and must reap it.
    let enter = ["--target", &inner.to_string(), "--pid", "--mount"].map(str::to_owned);
    let orphan = Command::new("nsenter")
        .args(&enter)
        .args(["sh", "-c", "(sleep 0.1; true) & exit 0"])
        .status()
        .unwrap();
    assert!(orphan.success());
    let reaped = wait::until(|| {
        let zombies = process::children(inner)
            .into_iter()
            .filter(|child| !child.is_alive());
        (zombies.count() == 0 && process::children(inner).len() == 2).then_some(())
    });
    assert!(reaped.is_some(), "{:?}", process::children(inner));
    send(inner, Signal::SIGTERM);
    assert_eq!(server.wait_end(), 0);
}

#[test]
fn a_terminal_is_a_place_to_run_in() {
    // As a shell starts it: the terminal is its standard error, and sends WINCH when resized.
    let terminal = openpty(None, None).unwrap();
    let name = ttyname(&terminal.slave).unwrap();
    let script = format!("exec setsid --ctty \"$@\" <{} 2>&0", name.display());
    let folder = tempfile::tempdir().unwrap();
    let control = folder.path().join("control").display().to_string();
    let mut server = Command::new("sh")
        .args(["-c", &script, "sh"])
        .arg(server_program())
        .args(["--listen", "127.0.0.1:0", "-i", "1", "--control", &control])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let ask = |verb: &[&str]| {
        let mut program = Command::new(server_program());
        program.args(verb).args(["--control", &control]);
        program.output().unwrap()
    };
    let is_served = || {
        let rows = String::from_utf8(ask(&["list"]).stdout).unwrap();
        rows.contains("serving").then_some(rows)
    };
    assert!(wait::until(is_served).is_some(), "it serves");
    let resized = Command::new("stty")
        .args(["cols", "100"])
        .stdin(Stdio::from(terminal.slave))
        .status();
    assert!(resized.unwrap().success());
    // A reload is handled after the signal, and would show it in what `describe` says.
    assert!(ask(&["ping"]).status.success());
    let said = String::from_utf8(ask(&["describe"]).stdout).unwrap();
    assert!(said.contains("running"), "{said}");
    assert!(ask(&["kill"]).status.success());
    assert!(server.wait().unwrap().success());
}
