//! The table of keys is complete, and every key goes everywhere.

use std::collections::BTreeSet;

use super::super::keys::every_name;
use super::*;

#[test]
fn no_field_is_without_a_key() {
    let shown = format!("{:#?}", Site::new().config());
    let fields: BTreeSet<&str> = shown
        .lines()
        .filter_map(|line| line.trim_start().split_once(':').map(|(field, _)| field))
        .filter(|field| field.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
        .collect();
    let mut expected: BTreeSet<&str> = every_name().map(|named| named.name).collect();
    expected.remove("worker_processes");
    // Not keys: what the file is, what the environment is, and the tables.
    expected.extend([
        "file",
        "env",
        "static_files",
        "workers",
        "listen",
        "gzip",
        "access_log",
        "real_ip",
        "security_headers",
        "cors",
        "csrf",
        "endpoints",
        "limits",
        "session",
        "store",
        "control",
        "address",
    ]);
    assert_eq!(fields, expected);
}

#[test]
fn every_key_is_written_and_read_again() {
    let text = "
        name = 'x'
        env_file = ['a b', 'c$${D}']
        pid_file = 'p\"q'
        max_connections = 5
        root = '.'
        request_id = 'X-Id'
        listen = ['127.0.0.1:1', '[::1]:0', 'unix:x.sock']
        [static]
        try_files = ['$uri', '$uri.html', '/x/$uri/', '=404']
        spa = true
        expires = '30d'
        immutable = ['*.[0-9a-f]*.js', '/assets/**']
        precompressed = false
        [workers]
        worker_processes = '-2'
        accept_balance = 'ip_hash'
        listen_timeout = '1m30s'
        exp_backoff_restart_delay = '0ms'
        [access_log]
        path = 'a.log'
        format = ':req[x-a] $${HOME} \\:url'
        sample = 0.25
        buffer = '1m'
        on_overflow = 'block'
        [real_ip]
        trusted = ['unix', 'private', '10.0.0.0/8', '::1']
        header = 'Forwarded'
        recursive = false
        [security_headers]
        enabled = true
        content_security_policy = 'none'
        x_frame_options = ''
        [cors]
        origins = ['https://example.com', 'http://localhost:3000']
        methods = ['*']
        headers = ['X-A', 'X-B']
        max_age = '0ms'
        [csrf]
        enabled = true
        trusted_origins = ['https://example.com']
        [endpoints]
        livez = '/livez'
        [limits]
        max_concurrency = 7
        [session]
        store = 'cookie'
        cookie = 'sid'
        max_age = '1d'
        path = '/shop'
        domain = '.example.com'
        http_only = false
        secure = true
        same_site = true
        partitioned = true
        priority = 'high'
        unset = 'destroy'
        prefix = 's:$${X}'
        on_store_error = 503
        max_size = '1m'
        [log]
        level = 'info,appserver=debug'
        format = 'text'
        rotate_size = '0'
        rotate_interval = '1h'
        retain = 0
        compress = false
        disk_budget = 1000
        [store]
        dir = 'kept'
        size = '1g'
        timeout = '2s'
        [control]
        socket = 'c.sock'
        ";
    let site = Site::new()
        .toml(text)
        .env("APPSERVER_LISTEN__CLIENT_MAX_BODY_SIZE", "0");
    let config = site.config();
    assert!(config.env_file[1].ends_with("c${D}"));
    let again = Site::new().file("x.toml", &config.to_toml());
    let again = again.flags(|flags| flags.config = Some("x.toml".into()));
    assert_eq!(
        Config {
            file: config.file.clone(),
            ..again.config()
        },
        config
    );
    for named in every_name().filter(|named| named.name != "worker_processes") {
        assert!(
            config.to_toml().contains(&format!("\n{} = ", named.name)),
            "{}",
            named.name
        );
    }
}

#[test]
fn every_key_is_read_from_the_environment() {
    // A word that no key takes but as a path or a name shows that the variable has its key.
    for named in every_name() {
        let result = load(&Site::new().env(&named.variable, "\u{1}").sources);
        let unknown =
            result.is_err_and(|problems| problems.to_string().contains("there is no key"));
        assert!(!unknown, "{}", named.variable);
    }
}
