//! An axum `Router` is an app as it is. This program has every verb and flag of `appserver`:
//!
//! ```text
//! cargo run --release --example hello -- --workers max
//! ```

use appserver::Server;
use axum::{Router, routing::get};

fn main() -> std::process::ExitCode {
    Server::from_args()
        .app(async |_worker| Ok(Router::new().route("/", get("Hello, world!"))))
        .run()
}
