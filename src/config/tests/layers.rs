//! The order of the layers, and what each one can say.

use crate::config::types::Instances;
use std::fs;

use super::*;

fn exact(number: u16) -> Instances {
    Instances::Exact(number)
}

#[test]
fn nothing_said_gives_the_defaults() {
    let site = Site::new();
    let config = site.config();
    assert_eq!(config.name, "shop");
    assert_eq!(config.env, AppEnv::Development);
    assert_eq!(config.file, None);
    assert_eq!(config.root, Root::Welcome);
    assert_eq!(config.workers, Workers::default());
    assert_eq!(
        config.listen,
        [Listen::at(
            "127.0.0.1:8080".parse().map(ListenAddress::Tcp).unwrap()
        )]
    );
    assert_eq!(config.access_log.format, LogFormat::Dev);
    assert_eq!(
        config.control.socket,
        runtime_dir(&site.sources.env).join("shop.sock")
    );
    assert!(!config.is_production());
}

#[test]
fn each_layer_wins_over_the_one_below() {
    let mut site = Site::new();
    assert_eq!(site.config().workers.instances, Instances::Max);
    site = site.env("WEB_CONCURRENCY", "2");
    assert_eq!(site.config().workers.instances, exact(2));
    site = site.toml("workers.instances = 3");
    assert_eq!(site.config().workers.instances, exact(3));
    site = site.file(".env", "APPSERVER_WORKERS__INSTANCES=4");
    assert_eq!(site.config().workers.instances, exact(4));
    site = site.file(".env.development", "APPSERVER_WORKERS__INSTANCES=5");
    assert_eq!(site.config().workers.instances, exact(5));
    site = site.env("APPSERVER_WORKERS__INSTANCES", "6");
    assert_eq!(site.config().workers.instances, exact(6));
    site = site.flags(|flags| {
        flags
            .set
            .push(("APPSERVER_WORKERS__INSTANCES".into(), "7".into()));
    });
    assert_eq!(site.config().workers.instances, exact(7));
    site = site.flags(|flags| flags.workers = Some("8".into()));
    assert_eq!(site.config().workers.instances, exact(8));
}

#[test]
fn every_flag_reaches_its_key() {
    let site = Site::new().flags(|flags| {
        *flags = Flags {
            workers: Some("50%".into()),
            listen: vec!["8081".into(), "unix:x.sock".into()],
            env: Some("production".into()),
            name: Some("other".into()),
            root: Some(".".into()),
            pid_file: Some("pid".into()),
            control: Some("c.sock".into()),
            ..Flags::default()
        }
    });
    let (config, cwd) = (site.config(), &site.sources.cwd);
    assert_eq!(config.workers.instances, Instances::Percent(50));
    assert_eq!(
        site.addresses(),
        [
            "127.0.0.1:8081".to_owned(),
            format!("unix:{}", cwd.join("x.sock").display())
        ]
    );
    assert!(config.is_production());
    assert_eq!(config.access_log.format, LogFormat::Combined);
    assert_eq!(config.name, "other");
    assert_eq!(config.root, Root::Folder(cwd.clone()));
    assert_eq!(config.pid_file, Some(cwd.join("pid")));
    assert_eq!(config.control.socket, cwd.join("c.sock"));
}

#[test]
fn the_file_is_the_named_one_or_appserver_toml() {
    let site = Site::new()
        .toml("name = 'here'")
        .file("other.toml", "name = 'there'");
    assert_eq!(site.config().name, "here");
    assert_eq!(
        site.config().file,
        Some(site.sources.cwd.join("appserver.toml"))
    );
    let site = site.flags(|flags| flags.config = Some("other.toml".into()));
    assert_eq!(site.config().name, "there");
    assert_eq!(
        site.config().file,
        Some(site.sources.cwd.join("other.toml"))
    );
}

#[test]
fn relative_paths_start_where_they_were_said() {
    let site = Site::new();
    let elsewhere = site.sources.cwd.join("conf");
    fs::create_dir_all(elsewhere.join("public")).unwrap();
    let site = site
        .file(
            "conf/x.toml",
            "root = './public'\npid_file = 'a.pid'\naccess_log.path = 'a.log'",
        )
        .flags(|flags| flags.config = Some("conf/x.toml".into()))
        .env("APPSERVER_ACCESS_LOG__PATH", "b.log");
    let config = site.config();
    assert_eq!(config.root, Root::Folder(elsewhere.join("public")));
    assert_eq!(config.pid_file, Some(elsewhere.join("a.pid")));
    assert_eq!(
        config.access_log.path,
        LogTarget::File(site.sources.cwd.join("b.log"))
    );
}

#[test]
fn a_folder_is_served_by_default_only_with_an_index() {
    let site = Site::new();
    let cwd = site.sources.cwd.clone();
    fs::create_dir(cwd.join("public")).unwrap();
    fs::create_dir(cwd.join("static")).unwrap();
    assert_eq!(site.config().root, Root::Welcome);
    let site = site.file("static/index.html", "");
    assert_eq!(site.config().root, Root::Folder(cwd.join("static")));
    let site = site.file("public/index.html", "");
    assert_eq!(site.config().root, Root::Folder(cwd.join("public")));
}

#[test]
fn node_env_is_an_alias_and_env_files_may_name_the_environment() {
    let site = Site::new().env("NODE_ENV", "production");
    assert!(site.config().is_production());
    let site = site.env("APP_ENV", "staging");
    assert_eq!(site.config().env, AppEnv::Other("staging".into()));
    let site = Site::new()
        .file(".env", "APP_ENV=test")
        .file(".env.test", "APPSERVER_NAME=tested");
    assert_eq!(site.config().name, "tested");
    assert_eq!(
        site.config().env_file,
        [
            site.sources.cwd.join(".env"),
            site.sources.cwd.join(".env.test")
        ]
    );
}

#[test]
fn env_files_can_be_named_and_expand_in_order() {
    let site = Site::new()
        .toml("env_file = ['one', '${NEXT}', 'missing']\nname = \"${NAME:-none}\"")
        .file("one", "NEXT=two\n")
        .file("two", "export NAME=\"from-two\"\n");
    assert_eq!(site.config().name, "from-two");
    let site = site
        .toml("env_file = 'one'\nname = '${NAME}'")
        .file("three", "NAME=from-three")
        .env("APPSERVER_ENV_FILE", "two, three");
    assert_eq!(site.config().name, "from-three");
}

#[test]
fn workers_get_what_the_process_does_not_have() {
    let site = Site::new()
        .file(".env", "A=file\nB=file\nC=file\n")
        .env("B", "process")
        .env("C", "process")
        .flags(|flags| {
            flags.set = vec![("C".into(), "flag".into())];
            flags.env = Some("test".into());
        });
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let loaded = load(&site.sources).unwrap();
    assert_eq!(
        loaded.app_env,
        [
            pair("A", "file"),
            pair("APP_ENV", "test"),
            pair("C", "flag")
        ]
    );
}

#[test]
fn an_empty_text_asks_for_a_default_that_depends() {
    let site = Site::new()
        .toml("name = 'x'\nuser = 'nobody'\ncontrol.socket = 's'\naccess_log.format = 'tiny'")
        .env("APPSERVER_NAME", "")
        .env("APPSERVER_USER", "")
        .env("APPSERVER_CONTROL__SOCKET", "")
        .env("APPSERVER_ACCESS_LOG__FORMAT", "");
    let config = site.config();
    assert_eq!(config.name, "shop");
    assert_eq!(config.user, None);
    assert_eq!(
        config.control.socket,
        runtime_dir(&site.sources.env).join("shop.sock")
    );
    assert_eq!(config.access_log.format, LogFormat::Dev);
}

#[test]
fn reserved_variables_are_not_keys() {
    let site = Site::new()
        .env("APPSERVER_WORKER_ID", "1")
        .env("APPSERVER_GENERATION", "1")
        .env("APPSERVER_INSTANCE_ID", "1")
        .env("APPSERVER_INTERNAL_ANYTHING", "1");
    assert_eq!(site.config().name, "shop");
}
