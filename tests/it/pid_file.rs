//! The file that tells scripts who the master is.

use nix::sys::signal::Signal;

use crate::harness::Appserver;

#[test]
fn the_pid_file_lives_as_long_as_the_server() {
    let mut server = Appserver::new().args(&["--pid-file", "it.pid"]).start();
    let text = std::fs::read_to_string(server.file("it.pid")).unwrap();
    assert_eq!(text.trim(), server.pid().to_string());
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait_end(), 0);
    assert!(!server.file("it.pid").exists());
}

#[test]
fn the_pid_file_of_a_living_server_is_not_taken() {
    let server = Appserver::new().args(&["--pid-file", "it.pid"]).start();
    let held = server.file("it.pid").display().to_string();
    let output = Appserver::new().args(&["--pid-file", &held]).run();
    assert_eq!(output.code, 1, "{output:?}");
    let pid = server.pid().to_string();
    assert!(
        output.stderr.contains(&held) && output.stderr.contains(&pid),
        "{output:?}"
    );
    assert_eq!(std::fs::read_to_string(&held).unwrap().trim(), pid);
}

#[test]
fn a_pid_file_that_another_server_has_written_is_left_alone() {
    let mut server = Appserver::new().args(&["--pid-file", "it.pid"]).start();
    server.write("it.pid", "1\n");
    server.stop();
    assert!(server.file("it.pid").exists());
}

#[test]
fn a_pid_file_moves_with_the_configuration() {
    let builder = Appserver::new().copied().config("pid_file = \"a.pid\"");
    let mut server = builder.start();
    for (verb, old, new) in [("reload", "a.pid", "b.pid"), ("upgrade", "b.pid", "c.pid")] {
        server.write("appserver.toml", format!("pid_file = \"{new}\""));
        server.must(&[verb]);
        assert!(!server.file(old).exists(), "{verb}");
        let pid = std::fs::read_to_string(server.file(new)).unwrap();
        assert_eq!(pid.trim(), server.pid().to_string(), "{verb}");
    }
    server.stop();
    assert!(!server.file("c.pid").exists());
}
