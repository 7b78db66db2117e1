//! Starts the real program and holds it to what its papers promise. The tests know only what an
//! operator or a client knows: the binary, its sockets, its signals and its files.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::missing_errors_doc,
    reason = "a test fails by panicking, and it has threads and pauses of its own"
)]

mod harness;

/// How connections are spread over workers.
mod balance;
/// Cold start: what is served, what is refused, what the environment says.
mod boot;
/// Who the processes are: titles, users, limits, PID 1.
mod boot_process;
/// Compression: who gets what, encoded how, and when.
mod compression;
/// Every problem of a configuration at once, with its place.
mod config_errors;
/// Panics, errors and time-outs: what clients, logs and counters see of them.
mod contain;
/// The control socket and the verbs.
mod control;
/// Workers that die: respawn, backoff, failed slots, crash loops.
mod crash;
/// Idle and busy connections of workers that leave.
mod drain;
/// What the answers say that are not the site's: formats, texts, own pages.
mod error_answers;
/// The same requests to an Express app: the same visible results.
mod express;
/// Static files.
mod files;
/// Framing, limits and malformed input.
mod http;
/// Whoever crashes or blocks a worker is named.
mod inflight;
/// The load generator itself: it must see losses.
mod instrument;
/// The proofs under load: reloads, upgrades and kills without a lost request.
/// Files that the kernel sends.
mod large_files;
/// The limit on concurrency: who is served, who waits, who is sent away.
mod limits;
mod load;
/// The access log where it can be lost.
mod log_files;
/// The access log.
mod logs;
/// The file that tells scripts who the master is.
mod pid_file;
/// Reload: all or nothing.
mod reload;
/// More workers and fewer.
mod scale;
/// Sessions, alone and beside Express.
mod session;
/// Every signal of the guide.
mod signals;
/// Workers that hang: taken out of rotation, explained, replaced.
mod stall;
/// Upgrade in place.
mod upgrade;
/// Real client addresses, security headers, CORS, CSRF, endpoints for probes.
mod usual;
/// Sessions in a handler: counters, secrets and stores that change, panics.
mod visitors;
