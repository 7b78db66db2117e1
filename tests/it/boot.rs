//! Cold start: what is served, what is refused, what the environment says.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::thread::available_parallelism;

use socket2::{Domain, Socket, Type};

use crate::harness::{Appserver, Builder, Connection, client, socket_address};

#[test]
fn the_ready_line_says_file_pid_addresses_and_control_path() {
    let server = Appserver::new().config("name = \"shop\"").start();
    let pid = server.pid().to_string();
    let address = server.address().to_string();
    let control = server.control().display().to_string();
    let words = ["shop serves", "appserver.toml", &pid, &address, &control];
    server.wait_until("the ready line is there", |s| s.journal().has_line(&words));
}

#[test]
fn nothing_but_the_program_is_needed() {
    let server = Appserver::new().start();
    let page = server.get("/");
    assert_eq!(page.status, 200);
    assert!(
        page.header("content-type")
            .unwrap_or("")
            .starts_with("text/html")
    );
    let text = page.text();
    assert!(
        text.contains(&server.instance_id()),
        "the welcome page shows the instance: {text}"
    );
    let pids = server.pids();
    assert!(
        pids.iter().any(|pid| text.contains(&pid.to_string())),
        "and a worker: {text}"
    );
}

#[test]
fn the_instance_id_is_a_uuid_of_version_4() {
    let id = Appserver::new().start().instance_id();
    let parts: Vec<usize> = id.split('-').map(str::len).collect();
    assert_eq!(parts, [8, 4, 4, 4, 12], "{id}");
    assert!(
        id.chars().all(|c| c == '-' || c.is_ascii_hexdigit()),
        "{id}"
    );
    assert_eq!(id.as_bytes()[14], b'4', "the version of {id}");
    assert!(b"89ab".contains(&id.as_bytes()[19]), "the variant of {id}");
}

#[test]
fn two_servers_have_two_ids() {
    let (one, other) = (Appserver::new().start(), Appserver::new().start());
    assert_ne!(one.instance_id(), other.instance_id());
}

#[test]
fn public_is_served_without_being_named() {
    let server = Appserver::new()
        .file("public/index.html", "from public")
        .start();
    assert_eq!(server.get("/").text(), "from public");
}

#[test]
fn static_is_served_when_there_is_no_public() {
    let server = Appserver::new()
        .file("static/index.html", "from static")
        .start();
    assert_eq!(server.get("/").text(), "from static");
}

#[test]
fn a_public_folder_without_an_index_is_not_served() {
    let server = Appserver::new()
        .file("public/secret.txt", "not asked to")
        .start();
    assert_eq!(server.get("/secret.txt").status, 404);
    assert!(server.get("/").text().contains(&server.instance_id()));
}

#[test]
fn root_names_the_folder() {
    let builder = Appserver::new()
        .file("public/index.html", "no")
        .file("site/a.txt", "yes");
    let server = builder.args(&["--root", "site"]).start();
    assert_eq!(server.get("/a.txt").text(), "yes");
}

#[test]
fn a_root_that_does_not_exist_is_refused() {
    let output = Appserver::new().args(&["--root", "nowhere"]).run();
    assert_eq!(output.code, 78, "{output:?}");
    assert!(output.stderr.contains("nowhere"), "{output:?}");
}

// === addresses ===

#[test]
fn listen_can_be_given_several_times() {
    let builder = Appserver::new();
    let socket = builder.folder().join("web.sock");
    let unix = format!("unix:{}", socket.display());
    let server = builder
        .args(&["--listen", "127.0.0.2:0", "--listen", &unix])
        .start();
    let mut connection = Connection::open_unix(&socket);
    assert_eq!(connection.get("/").status, 200);
    let addresses = server.addresses();
    assert_eq!(addresses.len(), 3, "{addresses:?}");
    let ports = addresses.iter().filter_map(|text| socket_address(text));
    let answers: Vec<u16> = ports
        .map(|port| client::get_once(port, "/").status)
        .collect();
    assert_eq!(
        answers,
        [200, 200],
        "both ports were reported and answer: {addresses:?}"
    );
}

#[test]
fn a_unix_socket_is_removed_at_the_end() {
    let builder = Appserver::new();
    let socket = builder.folder().join("web.sock");
    let mut server = builder
        .args(&["--listen", &format!("unix:{}", socket.display())])
        .start();
    assert!(socket.exists());
    server.stop();
    assert!(!socket.exists());
}

#[test]
fn ipv6_works() {
    let builder = Appserver::new()
        .listen_unsaid()
        .args(&["--listen", "[::1]:0"]);
    let server = builder.start();
    assert!(server.address().is_ipv6());
    assert_eq!(server.get("/").status, 200);
}

/// Asserts that a server at `address` is refused with an error that names the address.
fn assert_refused(builder: Builder, address: SocketAddr, holder: Option<i32>) {
    let builder = builder
        .listen_unsaid()
        .args(&["--listen", &address.to_string()]);
    let output = builder.run();
    assert_ne!(output.code, 0, "{output:?}");
    assert!(output.stderr.contains(&address.to_string()), "{output:?}");
    if let Some(pid) = holder {
        assert!(
            output.stderr.contains(&pid.to_string()),
            "the holder is named: {output:?}"
        );
    }
}

#[test]
fn a_second_server_on_a_live_port_is_refused() {
    let server = Appserver::new().start();
    assert_refused(Appserver::new(), server.address(), Some(server.pid()));
    assert_eq!(server.get("/").status, 200);
}

#[test]
fn a_port_of_another_program_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let me = i32::try_from(std::process::id()).unwrap();
    assert_refused(Appserver::new(), listener.local_addr().unwrap(), Some(me));
}

#[test]
fn a_port_that_another_program_would_share_is_refused() {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_port(true).unwrap();
    socket
        .bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into())
        .unwrap();
    socket.listen(1).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    assert_refused(Appserver::new(), address, None);
}

#[test]
fn a_port_whose_connections_wait_to_be_forgotten_is_taken() {
    let mut first = Appserver::new().start();
    let address = first.address();
    first.get("/"); // closed by the server, so its end of the connection lingers
    first.stop();
    let again = Appserver::new()
        .listen_unsaid()
        .args(&["--listen", &address.to_string()])
        .start();
    assert_eq!(again.get("/").status, 200);
}

#[test]
fn a_live_server_on_the_same_control_path_is_refused() {
    let server = Appserver::new().start();
    let control = server.control().display().to_string();
    let second = server
        .begin_with(&["--control", &control, "--listen", "127.0.0.1:0"])
        .finish();
    assert_ne!(second.code, 0, "{second:?}");
    assert!(second.stderr.contains(&control), "{second:?}");
    server.must(&["ping"]);
}

#[test]
fn a_stale_control_socket_is_replaced() {
    let builder = Appserver::new();
    drop(UnixListener::bind(builder.folder().join("control.sock")).unwrap());
    let server = builder.start();
    server.must(&["ping"]);
}

#[test]
fn a_control_path_that_is_no_socket_is_left_alone() {
    let output = Appserver::new().file("control.sock", "precious").run();
    assert_ne!(output.code, 0, "{output:?}");
    assert!(output.stderr.contains("control.sock"), "{output:?}");
}

// === how many ===

/// Starts with `--workers VALUE` and says how many there are.
fn count_for(value: &str) -> usize {
    let server = Appserver::new()
        .workers_unsaid()
        .args(&["--workers", value])
        .start();
    server.list().len()
}

#[test]
fn workers_can_be_asked_for_in_every_way() {
    let cores = available_parallelism().unwrap().get();
    assert_eq!(count_for("max"), cores);
    assert_eq!(count_for("0"), cores);
    assert_eq!(count_for("-1"), cores.saturating_sub(1).max(1));
    assert_eq!(count_for("-999"), 1);
    assert_eq!(count_for("50%"), cores.div_ceil(2));
    assert_eq!(count_for("3"), 3, "an explicit number is not capped");
}

#[test]
fn one_worker_per_core_is_the_default() {
    let server = Appserver::new().workers_unsaid().start();
    assert_eq!(server.list().len(), available_parallelism().unwrap().get());
}

// === configuration: file, .env, environment, flags ===

#[test]
fn the_environment_overrides_the_file() {
    let builder = Appserver::new()
        .workers_unsaid()
        .config("[workers]\ninstances = 1");
    let server = builder.env("APPSERVER_WORKERS__INSTANCES", "3").start();
    assert_eq!(server.list().len(), 3);
}

#[test]
fn flags_override_the_environment() {
    let server = Appserver::new()
        .workers(1)
        .env("APPSERVER_WORKERS__INSTANCES", "3")
        .start();
    assert_eq!(server.list().len(), 1);
}

#[test]
fn dot_env_is_read_and_the_environment_overrides_it() {
    let builder = || {
        let builder = Appserver::new().workers_unsaid();
        builder.file(".env", "APPSERVER_WORKERS__INSTANCES=3\n")
    };
    assert_eq!(builder().start().list().len(), 3);
    assert_eq!(
        builder()
            .env("APPSERVER_WORKERS__INSTANCES", "1")
            .start()
            .list()
            .len(),
        1
    );
}

#[test]
fn dot_env_of_the_environment_overrides_dot_env() {
    for name in ["APP_ENV", "NODE_ENV"] {
        let builder = Appserver::new().workers_unsaid().env(name, "staging");
        let builder = builder.file(".env", "WEB_CONCURRENCY=1\n");
        let server = builder.file(".env.staging", "WEB_CONCURRENCY=3\n").start();
        assert_eq!(server.list().len(), 3, "{name}");
    }
}

#[test]
fn web_concurrency_is_the_default_count() {
    let builder = || {
        Appserver::new()
            .workers_unsaid()
            .env("WEB_CONCURRENCY", "3")
    };
    assert_eq!(builder().start().list().len(), 3);
    assert_eq!(builder().workers(1).start().list().len(), 1);
}

#[test]
fn port_changes_the_default_address() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let builder = Appserver::new()
        .listen_unsaid()
        .env("PORT", &free.port().to_string());
    let server = builder.start();
    assert_eq!(server.address(), free);
}

#[test]
fn config_names_the_file() {
    let builder = Appserver::new()
        .workers_unsaid()
        .config("[workers]\ninstances = 1");
    let builder = builder.file("other.toml", "[workers]\ninstances = 3\n");
    let server = builder.args(&["--config", "other.toml"]).start();
    assert_eq!(server.list().len(), 3);
    assert!(server.journal().text().contains("other.toml"));
}

// === a boot that fails ===

#[test]
fn a_cold_start_that_cannot_boot_says_why() {
    for (word, reason) in [
        ("fail", "the fixture was told to fail"),
        ("panic", "the fixture was told to panic"),
        ("abort", "SIGABRT"),
    ] {
        let output = Appserver::fixture().env("FIXTURE_BOOT", word).run();
        assert_eq!(output.code, 1, "{word}: {output:?}");
        assert!(output.stderr.contains(reason), "{word}: {output:?}");
    }
}

#[test]
fn a_cold_start_that_hangs_ends_after_listen_timeout() {
    for word in ["hang", "block"] {
        let builder = Appserver::fixture().config("[workers]\nlisten_timeout = \"400ms\"");
        let output = builder.env("FIXTURE_BOOT", word).run();
        assert_eq!(output.code, 1, "{word}: {output:?}");
        assert!(
            output.stderr.contains("listen_timeout"),
            "{word}: {output:?}"
        );
    }
}

#[test]
fn a_cold_start_that_fails_leaves_nothing() {
    let mut server = Appserver::fixture()
        .env("FIXTURE_BOOT", "fail")
        .allow(&["ERROR"])
        .spawn();
    assert_eq!(server.wait_end(), 1);
    assert!(!server.control().exists());
}

// === in the background ===

#[test]
fn start_returns_when_it_serves() {
    let (mut server, output) = Appserver::new().start_in_background();
    assert_eq!(server.get("/").status, 200);
    assert_eq!(server.serving().len(), 2, "{output:?}");
    for log in ["out.log", "error.log"] {
        let log = server.state().join(log);
        assert!(log.exists(), "it logs under the state directory");
        let named = output.stdout.contains(&log.display().to_string());
        assert!(named, "and says so: {output:?}");
    }
    server.get("/somewhere");
    server.wait_until("the request is logged there", |s| {
        let log = std::fs::read_to_string(s.state().join("out.log"));
        log.is_ok_and(|text| text.contains("/somewhere"))
    });
    server.must(&["stop"]);
    server.wait_end();
}

#[test]
fn start_fails_with_the_reason_when_the_boot_fails() {
    let builder = Appserver::fixture().env("FIXTURE_BOOT", "fail");
    let control = builder.folder().join("control.sock").display().to_string();
    let output = builder.run_verb(&["start", "--control", &control, "--listen", "127.0.0.1:0"]);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(
        output.stderr.contains("the fixture was told to fail"),
        "{output:?}"
    );
}

#[test]
fn an_app_does_not_speak_of_the_welcome_page() {
    let app = Appserver::fixture().start();
    assert!(!app.journal().text().contains("welcome page"));
    let plain = Appserver::new().start();
    assert!(plain.journal().text().contains("welcome page"));
}
