//! The control socket and the verbs.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use nix::unistd::{Uid, User};

use crate::harness::client::get;
use crate::harness::random::Random;
use crate::harness::{Appserver, process, server_program};

#[test]
fn the_socket_is_private() {
    let server = Appserver::new().start();
    let metadata = fs::metadata(server.control()).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
}

#[test]
fn another_user_is_refused_even_where_the_mode_lets_it_in() {
    if !Uid::effective().is_root() {
        eprintln!("not tried: only root can become somebody else");
        return;
    }
    let server = Appserver::new().start();
    let open = fs::Permissions::from_mode(0o666);
    fs::set_permissions(server.control(), open).unwrap();
    let nobody = User::from_name("nobody").unwrap().unwrap();
    let program = server.file("client");
    fs::copy(server_program(), &program).unwrap(); // where nobody may read it
    let output = Command::new(&program)
        .args(["stop", "--control"])
        .arg(server.control())
        .current_dir(server.folder())
        .uid(nobody.uid.as_raw())
        .gid(nobody.gid.as_raw())
        .output()
        .unwrap();
    assert!(!output.status.success(), "{output:?}");
    server.must(&["ping"]);
}

#[test]
fn the_list_has_exactly_the_promised_keys() {
    let server = Appserver::new().start();
    let text = server.must(&["list", "--json"]).stdout;
    let rows: Vec<serde_json::Map<String, serde_json::Value>> =
        serde_json::from_str(&text).unwrap();
    for row in rows {
        let mut keys: Vec<&str> = row.keys().map(String::as_str).collect();
        keys.sort_unstable();
        let promised = [
            "connections",
            "cpu_percent",
            "generation",
            "inflight",
            "pid",
            "requests",
            "restarts",
            "rss_bytes",
            "slot",
            "state",
            "uptime_ms",
        ];
        assert_eq!(keys, promised);
    }
}

#[test]
fn the_list_tells_the_truth() {
    let server = Appserver::fixture().start();
    let mut held: Vec<_> = (0..10).map(|_| server.connect()).collect();
    for connection in &mut held {
        connection.get("/who");
    }
    let mut busy = server.connect();
    busy.send(get("/slow?ms=600000"));
    let sum =
        |s: &Appserver, of: fn(&crate::harness::Row) -> u64| s.list().iter().map(of).sum::<u64>();
    server.wait_until("it counts connections", |s| {
        sum(s, |row| row.connections) == 11
    });
    server.wait_until("it counts requests in flight", |s| {
        sum(s, |row| row.inflight) == 1
    });
    assert_eq!(sum(&server, |row| row.requests), 11);
    for row in server.list() {
        assert!(process::is_alive(row.pid.unwrap()));
        assert!(row.rss_bytes > 100_000, "{row:?}");
        assert!((0.0..=400.0).contains(&row.cpu_percent), "{row:?}");
    }
    drop((held, busy));
    server.wait_until("and forgets them", |s| {
        sum(s, |row| row.connections) == 0 && sum(s, |row| row.inflight) == 0
    });
}

#[test]
fn the_list_has_aliases_and_a_table_for_people() {
    let server = Appserver::new().start();
    let pid = server.list()[0].pid.unwrap().to_string();
    for verb in ["list", "ls", "ps", "status"] {
        let table = server.must(&[verb]).stdout;
        assert!(table.contains(&pid) && table.contains("serving"), "{table}");
    }
}

#[test]
fn describe_is_for_people_too() {
    let server = Appserver::new().start();
    let text = server.must(&["describe"]).stdout;
    for word in [
        server.pid().to_string(),
        server.address().to_string(),
        server.instance_id(),
    ] {
        assert!(text.contains(&word), "{word} in {text}");
    }
}

#[test]
fn describe_tells_of_a_server_without_sessions_that_it_has_none() {
    let server = Appserver::new().start();
    let text = server.must(&["describe"]).stdout;
    assert!(text.contains("sessions        none\n"), "{text}");
    let session = server.describe()["session"].clone();
    assert_eq!(session["store"], serde_json::Value::Null);
    assert_eq!(session["store_up"], serde_json::Value::Null);
    let none = serde_json::json!({"ok": 0, "error": 0});
    assert_eq!(session["ops"]["compare_and_set"], none);
    assert_eq!(session["latency"]["write"]["count"], 0);
    assert_eq!(session["slots"], serde_json::json!([]));
}

#[test]
fn control_may_stand_before_or_after_the_verb() {
    let server = Appserver::new().start();
    let control = server.control().display().to_string();
    for args in [
        ["ping", "--control", &control],
        ["--control", &control, "ping"],
    ] {
        let output = server.begin_with(&args).finish();
        assert_eq!(output.code, 0, "{args:?}: {output:?}");
    }
}

#[test]
fn without_a_server_every_verb_ends_with_3() {
    for verb in [
        &["list"][..],
        &["ping"],
        &["reload"],
        &["scale", "2"],
        &["stop"],
        &["upgrade"],
    ] {
        let builder = Appserver::new();
        let control = builder.folder().join("control.sock").display().to_string();
        let args: Vec<&str> = verb
            .iter()
            .copied()
            .chain(["--control", &control])
            .collect();
        let output = builder.run_verb(&args);
        assert_eq!(output.code, 3, "{verb:?}: {output:?}");
        assert!(output.stderr.contains(&control), "{verb:?}: {output:?}");
    }
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    for args in [
        &["--no-such-flag"][..],
        &["no-such-verb"],
        &["scale"],
        &["-t", "-T"],
        &["ping", "--workers", "2"],
    ] {
        let output = Appserver::new().run_verb(args);
        assert_eq!(output.code, 2, "{args:?}: {output:?}");
        assert!(!output.stderr.is_empty());
    }
}

#[test]
fn stop_returns_when_the_server_is_gone() {
    let mut server = Appserver::new().start();
    let pids = server.pids();
    server.must(&["stop"]);
    assert!(pids.into_iter().all(|pid| !process::is_alive(pid)));
    assert!(!server.control().exists());
    assert_eq!(server.wait_end(), 0);
}

#[test]
fn kill_does_not_wait_for_requests() {
    let mut server = Appserver::fixture().allow(&["SIGKILL", "ERROR"]).start();
    let mut busy = server.connect();
    busy.send(get("/slow?ms=600000"));
    server.wait_until("the request has arrived", |s| {
        s.list().iter().any(|row| row.inflight == 1)
    });
    server.must(&["kill"]);
    assert!(busy.try_response(false).is_err());
    server.wait_end();
}

#[test]
fn two_operators_at_once_are_both_answered() {
    let server = Appserver::new().start();
    let reload = server.begin(&["reload"]);
    let others: Vec<_> = (0..8).map(|_| server.begin(&["list", "--json"])).collect();
    for other in others {
        assert_eq!(other.finish().code, 0);
    }
    assert_eq!(reload.finish().code, 0);
}

#[test]
fn an_operator_who_leaves_does_not_stop_the_work() {
    let server = Appserver::fixture().boot_file().start();
    let generation = server.generation();
    server.write("boot", "slow");
    let reload = server.begin(&["reload"]);
    server.wait_until("it is on its way", |s| s.list().len() == 3);
    reload.abandon();
    server.wait_generation(generation + 1);
}

#[test]
fn nonsense_on_the_socket_is_survived() {
    let server = Appserver::new().start();
    let mut random = Random::seeded();
    let mut silent = Vec::new();
    for round in 0..60 {
        let mut stream = UnixStream::connect(server.control()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        let length = random.below(300);
        let mut bytes: Vec<u8> = (0..length).map(|_| random.byte()).collect();
        match round % 4 {
            0 => bytes.splice(..0, [0xff; 8]).for_each(drop), // a length beyond all bounds
            1 => bytes.splice(..0, *b"{\"verb\":").for_each(drop),
            2 => bytes.clear(), // nothing at all
            _ => {}
        }
        let _ = stream.write_all(&bytes);
        let _ = stream.read(&mut [0; 512]);
        if round % 3 == 0 {
            silent.push(stream); // half a frame, and then nothing
        }
    }
    server.must(&["ping"]);
    server.must(&["reload"]);
    drop(silent);
    assert_eq!(server.get("/").status, 200);
}

#[test]
fn operators_who_say_nothing_do_not_use_up_the_descriptors() {
    let server = Appserver::new().start();
    let before = process::descriptors(server.pid());
    let silent: Vec<_> = (0..50)
        .map(|_| UnixStream::connect(server.control()))
        .collect();
    server.must(&["ping"]);
    drop(silent);
    server.assert_no_leak(before);
}

#[test]
fn version_and_help_are_printed() {
    for args in [["--version"], ["-V"], ["--help"]] {
        let output = Appserver::new().run_verb(&args);
        assert_eq!(output.code, 0, "{args:?}: {output:?}");
        assert!(output.stdout.contains("appserver"), "{args:?}: {output:?}");
    }
}

#[test]
fn a_server_of_another_folder_with_the_same_name_is_not_stopped_by_accident() {
    let folder = tempfile::tempdir().unwrap();
    let name = format!("appserver-it-twin-{}", std::process::id());
    let folders = ["x", "y"].map(|parent| folder.path().join(parent).join(&name));
    folders
        .iter()
        .for_each(|path| std::fs::create_dir_all(path).unwrap());
    let say = |folder: &std::path::Path, args: &[&str]| {
        let output = Command::new(server_program())
            .args(args)
            .current_dir(folder)
            .env("XDG_STATE_HOME", folder) // root has its own place: removed below
            .output();
        let output = output.unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), text)
    };
    let [mine, other] = &folders;
    let start = ["start", "--listen", "127.0.0.1:0", "--workers", "1"];
    assert_eq!(say(mine, &start).0, Some(0));
    let (code, text) = say(other, &["stop"]);
    let (named, _) = say(other, &["stop", &name]);
    let _ = std::fs::remove_dir_all(std::path::Path::new("/var/lib/appserver").join(&name));
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains(&name) && text.contains("/x/"), "{text}");
    assert_eq!(named, Some(0));
}
