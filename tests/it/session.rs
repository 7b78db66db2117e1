//! Sessions: `examples/session_api.rs` alone, and beside an Express app with express-session and
//! connect-redis that has the same routes.

/// A browser.
mod browser;
/// Sessions in an encrypted cookie.
mod cookie_store;
/// Cookies that are not ours, too large, or somebody else's.
mod forged;
/// The lines of the guide that a machine can check.
mod guide;
/// What survives reloads, upgrades and restarts.
mod keep;
/// Workers that are killed while sessions are written.
mod kills;
/// `examples/login.rs`.
mod login;
/// Redis that dies, stops and comes back.
mod outage;
/// The same visitors on Express and on ours.
mod peers;
/// Requests of one session at the same time.
mod races;
/// Where the secret comes from.
mod secret;
/// Each option of express-session: the same bytes in answers and in Redis.
mod side_by_side;

use crate::harness::redis::RedisServer;
use crate::harness::{Appserver, Builder, Express};

/// What the tests sign with.
const SECRET: &str = "keyboard cat";

/// `examples/session_api.rs` with these lines of the section `[session]`.
fn api(lines: &str) -> Builder {
    example("session_api", lines)
}

/// An example with these lines of the section `[session]`.
fn example(name: &str, lines: &str) -> Builder {
    let secret = match lines.contains("secret =") {
        true => String::new(),
        false => format!("secret = \"{SECRET}\"\n"),
    };
    let config = format!("[session]\nenabled = true\n{secret}{lines}\n");
    Appserver::example(name).config(&config)
}

/// The lines that put the sessions into this Redis.
fn in_redis(redis: &RedisServer) -> String {
    format!("store = \"redis\"\nurl = \"{}\"\n", redis.url())
}

/// The Express app on this Redis, with these options of express-session.
fn express(redis: &RedisServer, options: &str) -> Express {
    let url = redis.url();
    Express::start("session.js", &[("REDIS_URL", &url), ("SESSION", options)])
}

/// All keys of a Redis.
fn keys(redis: &RedisServer) -> Vec<String> {
    let keys = redis.cli(&["KEYS", "*"]);
    let keys = keys.lines().filter(|key| !key.is_empty());
    keys.map(str::to_owned).collect()
}
