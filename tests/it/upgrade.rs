//! Upgrade in place: same pid, nothing lost, and nothing changed when the new binary is broken.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use nix::sys::signal::Signal;

use crate::harness::client::get;
use crate::harness::{Appserver, Plan, Row, State, fixture_program, process, send, server_program};

/// Replaces the file at `path` as a package manager does: a new file, renamed over the old one.
pub(crate) fn replace(path: &Path, content: &[u8]) {
    let fresh = path.with_extension("new");
    fs::write(&fresh, content).unwrap();
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(&fresh, path).unwrap();
}

/// A fresh copy of the program over the file that the server was started from.
pub(crate) fn renew(path: &Path, program: &Path) {
    replace(path, &fs::read(program).unwrap());
}

#[test]
fn the_master_keeps_its_pid_and_its_identity() {
    let server = Appserver::new().copied().start();
    let (pid, id, generation) = (server.pid(), server.instance_id(), server.generation());
    let pids = server.pids();
    renew(&server.file("server"), &server_program());
    server.must(&["upgrade"]);
    assert_eq!(server.describe()["pid"].as_i64(), Some(i64::from(pid)));
    assert_eq!(
        (server.instance_id(), server.generation()),
        (id, generation + 1)
    );
    assert!(server.pids().is_disjoint(&pids));
    assert_eq!(server.get("/").status, 200);
}

#[test]
fn the_new_file_runs_and_not_the_deleted_one() {
    let server = Appserver::new().copied().start();
    let exe = format!("/proc/{}/exe", server.pid());
    renew(&server.file("server"), &server_program());
    assert!(
        fs::read_link(&exe)
            .unwrap()
            .display()
            .to_string()
            .ends_with("(deleted)")
    );
    let generation = server.generation();
    server.signal(Signal::SIGUSR2);
    server.wait_generation(generation + 1);
    assert_eq!(
        fs::read_link(&exe).unwrap(),
        fs::canonicalize(server.file("server")).unwrap()
    );
}

#[test]
fn a_binary_can_be_named() {
    let server = Appserver::new().copied().start();
    let other = server.file("other");
    renew(&other, &server_program());
    server.must(&["upgrade", &other.display().to_string()]);
    let exe = fs::read_link(format!("/proc/{}/exe", server.pid())).unwrap();
    assert_eq!(exe, fs::canonicalize(other).unwrap());
}

#[test]
fn a_link_is_followed_anew() {
    // Deployments point a link at the newest release.
    let builder = Appserver::new().copied();
    let link = builder.folder().join("current");
    let target = builder.folder().join("server");
    symlink(&target, &link).unwrap();
    let server = builder
        .wrapper(&["sh", "-c", "shift; exec ./current \"$@\"", "sh"])
        .start();
    let newer = server.file("newer");
    renew(&newer, &server_program());
    fs::remove_file(&link).unwrap();
    symlink(&newer, &link).unwrap();
    server.must(&["upgrade"]);
    let exe = fs::read_link(format!("/proc/{}/exe", server.pid())).unwrap();
    assert_eq!(exe, fs::canonicalize(newer).unwrap());
}

#[test]
fn counters_do_not_go_back() {
    let server = Appserver::new()
        .workers(1)
        .copied()
        .allow(&["SIGKILL"])
        .start();
    for _ in 0..10 {
        server.get("/");
    }
    let before = server.list()[0].requests;
    assert!(before >= 10, "{before}");
    server.must(&["reload"]);
    server.wait_serving(1);
    assert!(server.list()[0].requests >= before, "over a reload");
    server.must(&["upgrade"]);
    server.wait_serving(1);
    assert!(server.list()[0].requests >= before, "over an upgrade");
    send(server.list()[0].pid.unwrap(), Signal::SIGKILL);
    server.wait_until("it is respawned", |s| {
        s.list()[0].restarts >= 1 && s.pids().len() == 1
    });
    assert!(server.list()[0].requests >= before, "over a respawn");
}

#[test]
fn a_control_socket_of_the_next_start_is_left_alone() {
    // The file names another place, which counts from the next start on; meanwhile another server
    // has it. The flag of the harness would win over the file.
    let builder = Appserver::new().copied();
    let (bound, other) = (
        builder.folder().join("control.sock"),
        builder.folder().join("other.sock"),
    );
    let named = |path: &Path| format!("[control]\nsocket = {:?}\n", path.display().to_string());
    let script = "shift 3; exec ./server \"$@\""; // without `--control …`
    let builder = builder.config(&named(&bound));
    let mut server = builder.wrapper(&["sh", "-c", script, "sh"]).start();
    server.write("appserver.toml", named(&other));
    server.must(&["reload"]);
    let _stranger = std::os::unix::net::UnixListener::bind(&other).unwrap();
    server.must(&["upgrade"]);
    let shown = server.describe()["control"].clone();
    assert_eq!(shown.as_str(), Some(&*bound.display().to_string()));
    server.stop();
    assert!(other.exists(), "another server's socket");
    assert!(!bound.exists(), "its own");
}

#[test]
fn a_scaled_count_lasts() {
    let server = Appserver::new().workers(1).copied().start();
    server.must(&["scale", "3"]);
    server.must(&["upgrade"]);
    server.wait_serving(3);
    server.must(&["scale", "2"]);
    server.must(&["upgrade"]);
    server.wait_serving(2);
    assert_eq!(server.get("/").status, 200);
}

#[test]
fn a_scaled_count_ends_when_instances_changes() {
    let builder = Appserver::fixture().copied().workers_unsaid();
    let builder = builder.boot_file().config("[workers]\ninstances = 2");
    let server = builder.allow(&["ERROR"]).start();
    server.must(&["scale", "3"]);
    server.write("boot", "fail");
    server.write("appserver.toml", "[workers]\ninstances = 1\n");
    assert_eq!(server.verb(&["upgrade"]).code, 1);
    server.wait_serving(3); // it stays where the upgrade does not succeed …
    server.write("boot", "");
    server.write("appserver.toml", "[workers]\ninstances = 2\n");
    server.must(&["upgrade"]);
    server.wait_serving(3); // … and where `instances` is as it was
    server.write("appserver.toml", "[workers]\ninstances = 1\n");
    server.must(&["upgrade"]);
    server.wait_serving(1);
}

#[test]
fn a_broken_binary_changes_nothing() {
    let server = Appserver::new().copied().allow(&["ERROR"]).start();
    let file = server.file("server");
    let (pids, generation) = (server.pids(), server.generation());
    let good = fs::read(server_program()).unwrap();
    // Far before the end of the code: what comes after it, such as symbols, is not missed.
    let truncated = &good[..1 << 20];
    let other_program = fs::read("/bin/false").unwrap();
    let cases: [(&str, &[u8]); 5] = [
        ("a text", b"I am no program\n"),
        ("a script", b"#!/bin/sh\nexit 1\n"),
        ("an empty file", b""),
        ("a truncated binary", truncated),
        ("another program", &other_program),
    ];
    for (what, content) in cases {
        replace(&file, content);
        let output = server.verb(&["upgrade"]);
        assert_eq!(output.code, 1, "{what}: {output:?}");
        assert!(
            !output.stderr.trim().is_empty(),
            "{what}: the reason is told"
        );
        assert_eq!(
            (server.pids(), server.generation()),
            (pids.clone(), generation),
            "{what}"
        );
    }
    fs::remove_file(&file).unwrap();
    assert_eq!(server.verb(&["upgrade"]).code, 1, "no file at all");
    server.signal(Signal::SIGUSR2);
    server.must(&["ping"]);
    assert_eq!((server.pids(), server.generation()), (pids, generation));
    assert_eq!(server.get("/").status, 200);
    renew(&file, &server_program());
    server.must(&["upgrade"]);
    assert_eq!(
        server.generation(),
        generation + 1,
        "and a whole one works again"
    );
}

#[test]
fn a_broken_configuration_changes_nothing() {
    let builder = Appserver::new()
        .copied()
        .config("[workers]\nmin_uptime = \"1s\"");
    let server = builder.allow(&["ERROR"]).start();
    let (pids, generation) = (server.pids(), server.generation());
    server.write("appserver.toml", "[workers]\nmin_uptme = \"1s\"\n");
    let output = server.verb(&["upgrade"]);
    assert_eq!(output.code, 78, "{output:?}");
    assert!(output.stderr.contains("appserver.toml:2:1"), "{output:?}");
    assert_eq!((server.pids(), server.generation()), (pids, generation));
}

#[test]
fn a_configuration_that_cannot_be_put_to_work_changes_nothing() {
    let server = Appserver::new().copied().allow(&["ERROR"]).start();
    let (pids, generation) = (server.pids(), server.generation());
    server.write("appserver.toml", "[access_log]\npath = \"no/folder/log\"\n");
    let output = server.verb(&["upgrade"]);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stderr.contains("access log"), "{output:?}");
    assert_eq!((server.pids(), server.generation()), (pids, generation));
}

#[test]
fn an_image_that_cannot_take_over_after_all_returns_to_the_former_one() {
    // The configuration is right while the new binary is tried, and broken when it takes over.
    let server = Appserver::new().copied().allow(&["ERROR"]).start();
    let (file, good) = (server.file("server"), server.file("good"));
    let (pids, generation) = (server.pids(), server.generation());
    renew(&good, &server_program());
    let script = "#!/bin/sh\ncase \"$*\" in\n*--check-upgrade*) ;;\n\
        *) echo 'nonsense = 1' > appserver.toml ;;\nesac\nexec ./good \"$@\"\n";
    replace(&file, script.as_bytes());
    let output = server.verb(&["upgrade"]);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stderr.contains("nonsense"), "{output:?}");
    assert_eq!((server.pids(), server.generation()), (pids, generation));
    assert_eq!(server.get("/").status, 200);
    fs::remove_file(server.file("appserver.toml")).unwrap();
    renew(&file, &server_program());
    server.must(&["upgrade"]);
    assert_eq!(server.generation(), generation + 1);
}

#[test]
fn a_failure_halfway_is_rolled_back_and_the_former_image_returns() {
    let config = "[workers]\ninstances = 3";
    let builder = Appserver::fixture().copied().boot_file().workers_unsaid();
    let builder = builder.listen("").config(config).allow(&["ERROR"]);
    let server = builder.start();
    let generation = server.generation();
    let exe = format!("/proc/{}/exe", server.pid());
    let load = Plan::new(server.address(), "/who")
        .keep_alive_get(2)
        .keep_alive_post(2);
    let load = load.per_request(2).start();
    load.wait_for(50);
    let newer = server.file("newer");
    renew(&newer, &fixture_program());
    let former = fs::read_link(&exe).unwrap();
    // Its configuration wants more workers and another address; slot 1 cannot boot.
    let listen = "[listen.\"127.0.0.1:0\"]\n[listen.\"127.0.0.2:0\"]\n";
    let config = format!("{listen}[workers]\ninstances = 4\n");
    server.write("appserver.toml", config);
    server.write("boot", "fail@1");
    let output = server.verb(&["upgrade", &newer.display().to_string()]);
    assert_eq!(output.code, 1, "{output:?}");
    server.wait_until("the slots are as before", |s| {
        let rows = s.list();
        let is_old = |row: &Row| row.generation == generation && row.state == State::Serving;
        rows.len() == 3 && rows.iter().all(is_old)
    });
    assert_eq!(fs::read_link(&exe).unwrap(), former, "the former image");
    assert_eq!(server.addresses().len(), 1, "and its addresses");
    load.wait_for(50);
    load.finish().assert_lossless();
}

#[test]
fn a_new_binary_whose_workers_cannot_boot_keeps_the_workers() {
    let server = Appserver::fixture()
        .copied()
        .boot_file()
        .allow(&["ERROR"])
        .start();
    let pids = server.pids();
    server.write("boot", "fail");
    let output = server.verb(&["upgrade"]);
    assert_eq!(output.code, 1, "{output:?}");
    assert_eq!(server.pids(), pids, "the old workers still serve");
    assert_eq!(server.get("/who").status, 200);
    server.write("boot", "");
    server.must(&["reload"]);
    assert!(server.pids().is_disjoint(&pids));
}

#[test]
fn questions_asked_meanwhile_are_answered() {
    let server = Appserver::new().copied().start();
    for _ in 0..5 {
        let mut upgrade = server.begin(&["upgrade"]);
        let mut asked = 0;
        while asked == 0 || !upgrade.is_over() {
            let answers: Vec<_> = (0..4).map(|_| server.begin(&["ping"])).collect();
            for answer in answers {
                let output = answer.finish();
                assert_eq!(output.code, 0, "{output:?}");
            }
            asked += 1;
        }
        assert_eq!(upgrade.finish().code, 0);
    }
}

#[test]
fn requests_in_flight_finish_on_the_old_workers() {
    let server = Appserver::fixture().workers(1).copied().start();
    let mut busy = server.connect();
    busy.send(get("/slow?ms=2000"));
    server.wait_until("the request has arrived", |s| s.list()[0].inflight == 1);
    let worker = server.list()[0].pid.unwrap();
    server.must(&["upgrade"]);
    assert_eq!(busy.response().who().pid, worker);
    server.wait_serving(1);
}

#[test]
fn a_worker_that_dies_around_the_upgrade_is_reaped_and_replaced() {
    let server = Appserver::new()
        .workers(3)
        .copied()
        .allow(&["SIGKILL"])
        .start();
    for _ in 0..3 {
        let victim = *server.pids().first().unwrap();
        let upgrade = server.begin(&["upgrade"]);
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(victim), Signal::SIGKILL);
        assert_eq!(upgrade.finish().code, 0, "{}", server.situation());
        server.wait_serving(3);
    }
    server.wait_until("no zombie is left", |s| {
        process::children(s.pid())
            .iter()
            .all(process::Process::is_alive)
    });
}

#[test]
fn nothing_leaks_over_upgrades() {
    let server = Appserver::new().copied().start();
    server.must(&["upgrade"]);
    server.wait_serving(2);
    let before = server.descriptors();
    for _ in 0..5 {
        server.must(&["upgrade"]);
    }
    server.wait_serving(2);
    server.assert_no_leak(before[&server.pid()]);
    for pid in server.pids() {
        let kinds = process::descriptor_kinds(pid);
        let program = server.file("server").display().to_string();
        assert!(!kinds.contains_key(&program), "{kinds:?}");
    }
    let most = before.values().max().copied().unwrap();
    assert!(
        server.descriptors().values().all(|count| *count <= most),
        "{}",
        server.situation()
    );
}

#[test]
fn a_reload_asked_for_during_an_upgrade_runs_after_it() {
    let server = Appserver::fixture().boot_file().copied().start();
    let generation = server.generation();
    server.write("boot", "slow");
    let upgrade = server.begin(&["upgrade"]);
    server.wait_until("it is on its way", |s| {
        s.try_list()
            .is_some_and(|rows| rows.iter().any(|row| row.generation > generation))
    });
    let reload = server.begin(&["reload"]);
    assert_eq!(upgrade.finish().code, 0);
    assert_eq!(reload.finish().code, 0);
    assert_eq!(server.generation(), generation + 2);
}

#[test]
fn a_failed_upgrade_of_a_server_without_workers_leaves_it_so() {
    let builder = Appserver::fixture().copied().boot_file();
    let server = builder.allow(&["ERROR"]).start();
    server.signal(Signal::SIGWINCH);
    let nobody = |s: &Appserver| s.list().iter().all(|row| row.pid.is_none());
    server.wait_until("no worker is left", nobody);
    server.write("boot", "fail@1");
    let output = server.verb(&["upgrade"]);
    assert_eq!(output.code, 1, "{output:?}");
    server.wait_until("nobody is there again", nobody);
    assert_eq!(server.describe()["phase"], "paused");
    server.write("boot", "");
    server.must(&["reload"]);
    server.wait_serving(2);
    assert_eq!(server.describe()["phase"], "running");
}
