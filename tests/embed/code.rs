//! A program that says everything by code, for the tests of embedding. It never ships.

use appserver::{Config, Server};
use axum::{Router, routing::get};

fn main() -> std::process::ExitCode {
    let mut config = Config::new()
        .set("name", "by-code")
        .set("workers.instances", 2)
        .set("control.socket", "control.sock")
        .set("max_connections", 5)
        .listen("127.0.0.1:0");
    if let Ok(file) = std::env::var("FILE") {
        config = config.file(file);
    }
    if let Ok(said) = std::env::var("SAYS") {
        let (key, value) = said.split_once('=').unwrap_or((&said, ""));
        config = config.set(key, value);
    }
    Server::new(config)
        .app(async |_| Ok(Router::new().route("/", get("by code"))))
        .run()
}
