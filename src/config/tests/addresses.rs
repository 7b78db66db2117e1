//! Which addresses count, and with which limits.

use super::*;

#[test]
fn port_moves_the_default_address_only() {
    let site = Site::new().env("PORT", "3000");
    assert_eq!(site.addresses(), ["127.0.0.1:3000"]);
    let site = site.toml("listen = ['127.0.0.1:1']");
    assert_eq!(site.addresses(), ["127.0.0.1:1"]);
    assert_eq!(Site::new().env("PORT", "").addresses(), ["127.0.0.1:8080"]);
}

#[test]
fn the_order_is_the_files() {
    let site = Site::new().toml("[listen.'127.0.0.1:9']\n[listen.'127.0.0.1:1']\n");
    assert_eq!(site.addresses(), ["127.0.0.1:9", "127.0.0.1:1"]);
}

#[test]
fn a_set_of_a_higher_layer_replaces_the_set_but_keeps_the_tables() {
    let site = Site::new()
        .toml("[listen.'127.0.0.1:1']\nbacklog = 1\n[listen.'127.0.0.1:2']\nbacklog = 2\n");
    let site = site.env("APPSERVER_LISTEN", "127.0.0.1:3, :2");
    assert_eq!(site.addresses(), ["127.0.0.1:3", "0.0.0.0:2"]);
    let site = site.flags(|flags| flags.listen = vec!["2".into(), "4".into()]);
    let backlogs: Vec<u32> = site
        .config()
        .listen
        .iter()
        .map(|listen| listen.backlog)
        .collect();
    assert_eq!(site.addresses(), ["127.0.0.1:2", "127.0.0.1:4"]);
    assert_eq!(backlogs, [2, 4096]);
    let site = site.env("APPSERVER_LISTEN__BACKLOG", "9");
    assert!(
        site.config()
            .listen
            .iter()
            .all(|listen| listen.backlog == 9)
    );
}

#[test]
fn every_address_of_a_name_gets_the_names_table() {
    let site = Site::new().toml("[listen.'localhost:1']\nmax_headers = 7\n");
    assert!(
        site.config()
            .listen
            .iter()
            .all(|listen| listen.max_headers == 7)
    );
}
