//! The access log where it can be lost: stuck readers, full disks, rotation, and every way in which
//! a worker leaves.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread::JoinHandle;

use flate2::read::GzDecoder;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;

use crate::harness::{Appserver, Plan};

/// A target of this length makes lines that fill a third of what a pipe takes at once.
const LONG: usize = 1_300;

fn long_path() -> String {
    format!("/?{}", "x".repeat(LONG))
}

/// All of a log: what was put aside, compressed or not, and what is there.
fn all_lines(folder: &Path) -> Vec<String> {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if !name.starts_with("access.log") {
            continue;
        }
        let mut file = File::open(entry.path()).unwrap();
        let read = if name.ends_with(".gz") {
            GzDecoder::new(file).read_to_string(&mut text)
        } else {
            file.read_to_string(&mut text)
        };
        read.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    text.lines().map(str::to_owned).collect()
}

/// Fails unless every line is a whole one for the long path.
fn assert_whole(lines: &[String]) {
    for line in lines {
        let start = format!("GET {} 200 ", long_path());
        assert!(
            line.starts_with(&start) && line.ends_with(" ms"),
            "a torn line: {line}"
        );
        assert!(line.len() < start.len() + 40, "two lines in one: {line}");
    }
}

/// A reader of everything until all writers have gone.
fn read_all(file: File) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let (mut file, mut bytes, mut buffer) = (file, Vec::new(), vec![0; 1 << 16]);
        // A terminal whose other side has gone says so by an error.
        while let Ok(length @ 1..) = file.read(&mut buffer) {
            bytes.extend_from_slice(&buffer[..length]);
        }
        String::from_utf8(bytes).unwrap().replace('\r', "")
    })
}

/// A pipe at `path`, and its end to read from.
fn make_pipe(path: &Path) -> File {
    nix::unistd::mkfifo(path, Mode::S_IRWXU).unwrap();
    let mut options = OpenOptions::new();
    let flags = OFlag::O_NONBLOCK.bits();
    let pipe = options.read(true).custom_flags(flags).open(path).unwrap();
    fcntl(&pipe, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    pipe
}

fn totals(server: &Appserver, name: &str) -> u64 {
    server.describe()["totals"][name].as_u64().unwrap()
}

#[test]
fn a_log_that_stands_still_costs_lines_and_each_is_counted() {
    const REQUESTS: u64 = 1_000;
    let builder = Appserver::fixture()
        .config("[access_log]\npath = \"log.pipe\"\nformat = \"tiny\"\nbuffer = \"64k\"")
        .workers(1);
    let pipe = make_pipe(&builder.folder().join("log.pipe"));
    let mut server = builder.start();
    let mut connection = server.connect();
    for _ in 0..REQUESTS {
        assert_eq!(connection.get(&long_path()).status, 200);
    }
    let lost = totals(&server, "log_dropped");
    assert!(lost > REQUESTS / 2, "the log did not stand still: {lost}");
    let described = server.must(&["describe"]).stdout;
    assert!(described.contains(&format!(" {lost} lost")), "{described}");
    let reader = read_all(pipe);
    server.wait_until("what was kept is written", |s| {
        totals(s, "log_lines") + totals(s, "log_dropped") == REQUESTS
    });
    server.stop();
    let text = reader.join().unwrap();
    let (marks, lines): (Vec<_>, Vec<_>) = text.lines().partition(|line| line.starts_with('#'));
    let lines: Vec<String> = lines.into_iter().map(str::to_owned).collect();
    assert_whole(&lines);
    assert_eq!(lines.len() as u64, REQUESTS - lost, "{marks:?}");
    let marked = marks.iter().map(|mark| {
        let (_, rest) = mark.split_once("log_dropped=").unwrap();
        rest.split(' ').next().unwrap().parse::<u64>().unwrap()
    });
    assert_eq!(marked.sum::<u64>(), lost);
    assert!(
        server
            .journal()
            .has_line(&["WARN", "access log lines were lost"])
    );
}

#[test]
fn block_lets_responses_wait_and_loses_nothing() {
    let builder = Appserver::fixture()
        .config(
            "[access_log]\npath = \"log.pipe\"\nformat = \"tiny\"\nbuffer = \"64k\"\n\
             on_overflow = \"block\"",
        )
        .workers(1);
    let pipe = make_pipe(&builder.folder().join("log.pipe"));
    let mut server = builder.start();
    let load = Plan::new(server.address(), &long_path())
        .keep_alive_get(8)
        .start();
    let mut last = u64::MAX;
    server.wait_until("no response comes any more", |_| {
        std::thread::sleep(crate::harness::SILENCE);
        let before = std::mem::replace(&mut last, load.answers());
        before == last && last > 0
    });
    // The loop turns: the worker is no stalled one, and hears what is ordered.
    assert_eq!(server.describe()["stalled"], serde_json::json!([]));
    assert_eq!(server.list()[0].inflight, 8);
    let reader = read_all(pipe);
    load.wait_for(500);
    let tally = load.finish();
    tally.assert_lossless();
    server.stop();
    let text = reader.join().unwrap();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    assert_whole(&lines);
    assert_eq!(lines.len() as u64, tally.answers);
}

#[test]
fn no_line_is_lost_by_reload_upgrade_scaling_reopening_and_stop() {
    let mut server = Appserver::fixture()
        .config("[access_log]\npath = \"access.log\"\nformat = \"tiny\"")
        .workers(4)
        .start();
    let load = Plan::new(server.address(), &long_path())
        .keep_alive_get(6)
        .per_request(4)
        .start();
    load.wait_for(100);
    for nth in 0..5 {
        fs::rename(
            server.file("access.log"),
            server.file(&format!("access.log.{nth}")),
        )
        .unwrap();
        server.signal(Signal::SIGUSR1);
        server.wait_until("there is a new one", |s| s.file("access.log").exists());
        load.wait_for(100);
    }
    server.must(&["reload"]);
    load.wait_for(100);
    server.must(&["upgrade"]);
    load.wait_for(100);
    server.must(&["scale", "-2"]);
    load.wait_for(100);
    let tally = load.finish();
    tally.assert_lossless();
    server.stop();
    let lines = all_lines(server.folder());
    assert_whole(&lines);
    assert_eq!(lines.len() as u64, tally.answers);
}

#[test]
fn rotation_under_load_loses_no_line() {
    let mut server = Appserver::fixture()
        .config(
            "[access_log]\npath = \"access.log\"\nformat = \"tiny\"\n\
             [log]\nrotate_size = \"20k\"\nretain = 0\ndisk_budget = 0",
        )
        .workers(4)
        .start();
    let load = Plan::new(server.address(), &long_path())
        .keep_alive_get(8)
        .start();
    let packed = |s: &Appserver| {
        let names = fs::read_dir(s.folder()).unwrap().flatten();
        let is_packed = |name: String| name.starts_with("access.log.") && name.ends_with("Z.gz");
        names
            .filter(|e| is_packed(e.file_name().into_string().unwrap()))
            .count()
    };
    server.wait_until("some are compressed", |s| packed(s) >= 2);
    server.must(&["upgrade"]); // perhaps in the middle of one
    let before = packed(&server);
    server.wait_until("the new image compresses too", |s| packed(s) >= before + 2);
    let tally = load.finish();
    tally.assert_lossless();
    server.stop();
    let lines = all_lines(server.folder());
    assert_whole(&lines);
    assert_eq!(lines.len() as u64, tally.answers);
}

#[test]
fn old_logs_stay_within_number_and_budget() {
    let section = "[access_log]\npath = \"access.log\"\nformat = \"tiny\"\n[log]\n\
                   rotate_size = \"10k\"\ncompress = false\n";
    let server = Appserver::fixture()
        .config(&format!("{section}retain = 2"))
        .file("access.log.20200101T000000Z.gz", vec![0; 30_000])
        .file("access.log.20200102T000000Z", vec![0; 30_000])
        .file("access.log.20200102T000000Z.gz.tmp", "half")
        .file("access.log.1", "somebody else's")
        .start();
    let old = |s: &Appserver| {
        let names = fs::read_dir(s.folder()).unwrap().flatten();
        let names = names.map(|e| e.file_name().into_string().unwrap());
        names
            .filter(|name| name.starts_with("access.log.2"))
            .collect::<Vec<_>>()
    };
    let is_recent = |names: &[String]| names.iter().all(|name| !name.contains(".2020"));
    server.wait_until("three new ones are there", |s| {
        s.get(&long_path());
        old(s).iter().filter(|name| !name.contains(".2020")).count() >= 3
    });
    // While lines come there is always one more, for it has just been put aside.
    server.wait_until("two new ones are left", |s| {
        let old = old(s);
        old.len() == 2 && is_recent(&old)
    });
    assert!(server.file("access.log.1").exists());
    let section = format!("{section}retain = 0\ndisk_budget = \"1m\"");
    server.write("appserver.toml", section);
    server.must(&["reload"]);
    for nth in 1..=9 {
        let name = format!("access.log.2020010{nth}T000000Z");
        server.write(&name, vec![0; 200_000]);
    }
    server.wait_until("the youngest that fit are left", |s| {
        s.get(&long_path());
        let old = old(s);
        let bytes: u64 = old
            .iter()
            .filter_map(|name| Some(s.file(name).metadata().ok()?.len()))
            .sum();
        bytes < 1 << 20 && old.iter().filter(|n| n.contains(".2020")).count() >= 3
    });
    assert!(!server.file("access.log.20200101T000000Z").exists());
    assert!(server.file("access.log.20200109T000000Z").exists());
}

#[test]
fn the_logs_of_a_server_in_the_background_are_rotated_too() {
    let (mut server, _) = Appserver::fixture()
        .config("[access_log]\nformat = \"tiny\"\n[log]\nrotate_size = \"5k\"")
        .start_in_background();
    let load = Plan::new(server.address(), &long_path())
        .keep_alive_get(2)
        .start();
    let old = |s: &Appserver| {
        let names = fs::read_dir(s.state()).unwrap().flatten();
        let names = names.map(|e| e.file_name().into_string().unwrap());
        names
            .filter(|n| n.starts_with("out.log.") && n.ends_with(".gz"))
            .count()
    };
    server.wait_until("the output is put aside", |s| old(s) > 0);
    load.finish().assert_lossless();
    server.stop();
}

#[test]
fn a_folder_that_cannot_be_written_is_complained_about_once() {
    let server = Appserver::fixture()
        .config("[access_log]\npath = \"access.log\"\n[log]\nrotate_size = 1")
        .start();
    // A name that is too long for what is added to it stands in for the missing right, which
    // root always has.
    let long = format!("{}.log", "x".repeat(245));
    server.write(
        "appserver.toml",
        format!("[access_log]\npath = \"{long}\"\n[log]\nrotate_size = 1"),
    );
    server.must(&["reload"]);
    let words = ["cannot be rotated", "USR1"];
    server.wait_until("it is said", |s| {
        s.get("/");
        s.journal().has_line(&words)
    });
    for _ in 0..3 {
        server.get("/");
        std::thread::sleep(crate::harness::SILENCE);
    }
    assert_eq!(server.journal().count(&words), 1);
}

#[test]
fn a_full_disk_costs_lines_and_no_request() {
    let server = Appserver::fixture()
        .config("[access_log]\npath = \"/dev/full\"")
        .start();
    for _ in 0..10 {
        assert_eq!(server.get("/").status, 200);
    }
    server.wait_until("all are counted", |s| totals(s, "log_dropped") == 10);
    server.wait_until("it is said", |s| {
        s.journal()
            .has_line(&["access log lines were lost", "No space left"])
    });
    assert_eq!(totals(&server, "log_lines"), 0);
}

/// Four workers and long lines, all of which arrive whole.
fn nothing_is_mixed(builder: crate::harness::Builder, reader: File) {
    let mut server = builder.workers(4).start();
    let reader = read_all(reader);
    let load = Plan::new(server.address(), &long_path())
        .keep_alive_get(16)
        .start();
    load.wait_for(1_500);
    let tally = load.finish();
    tally.assert_lossless();
    server.stop();
    let text = reader.join().unwrap();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    assert_whole(&lines);
    assert_eq!(lines.len() as u64, tally.answers);
}

#[test]
fn lines_are_not_mixed_in_a_pipe() {
    let builder = Appserver::fixture()
        .config("[access_log]\npath = \"log.pipe\"\nformat = \"tiny\"\non_overflow = \"block\"");
    let pipe = make_pipe(&builder.folder().join("log.pipe"));
    nothing_is_mixed(builder, pipe);
}

#[test]
fn lines_are_not_mixed_on_a_terminal() {
    let pty = nix::pty::openpty(None, None).unwrap();
    let path = nix::unistd::ttyname(&pty.slave).unwrap();
    let config = format!(
        "[access_log]\npath = \"{}\"\nformat = \"tiny\"\non_overflow = \"block\"",
        path.display()
    );
    let builder = Appserver::fixture().config(&config);
    let slave: OwnedFd = pty.slave;
    let hold = std::thread::spawn(move || {
        let _open = slave; // until the server has opened it
        std::thread::sleep(crate::harness::SILENCE);
    });
    let master = File::from(pty.master);
    nothing_is_mixed(builder, master);
    hold.join().unwrap();
}

#[test]
fn a_killed_server_leaves_whole_lines() {
    let mut server = Appserver::fixture()
        .config("[access_log]\npath = \"access.log\"\nformat = \"tiny\"")
        .start();
    for _ in 0..50 {
        server.get(&long_path());
    }
    server.wait_until("they are written", |s| all_lines(s.folder()).len() == 50);
    let load = Plan::new(server.address(), &long_path())
        .keep_alive_get(4)
        .start();
    load.wait_for(100);
    server.kill_all();
    load.finish();
    assert_whole(&all_lines(server.folder()));
    let _ = std::io::stdout().flush();
}
