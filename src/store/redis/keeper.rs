//! The task that keeps the line to Redis: connects, notices a loss, connects anew.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};
use tokio::time::{Instant, sleep, timeout};

use super::StoreError;
use super::endpoint::{Connection, Endpoint};
use super::failure::{Verdict, judge};
use super::line::{Line, Link, Phase, ping, why};

/// The pause after an attempt that failed, at first and at most.
const SHORTEST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How often a connection that nobody uses is looked at. Shorter than any server or box between
/// keeps an idle connection, and so short that a loss is known before a request finds it.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// Keeps `line` for as long as it is polled.
pub(super) async fn keep(line: Arc<Line>, endpoint: Arc<Endpoint>) {
    let mut number = 0;
    let mut old = None;
    let mut pause = SHORTEST_PAUSE;
    loop {
        match attempt(&line, &endpoint, old.take()).await {
            Ok(connection) => {
                number += 1;
                let since = Instant::now();
                let link = Link { connection, number };
                line.set_up(link.clone());
                look_after(&line, &link).await;
                // A connection that was just lost may be had again at once. One that never lasts
                // is no better than none.
                if since.elapsed() >= SHORTEST_PAUSE && matches!(line.phase(), Phase::Connecting) {
                    tracing::debug!("the connection to Redis is lost");
                    pause = SHORTEST_PAUSE;
                    old = endpoint.is_fixed().then_some(link.connection);
                    continue;
                }
                if matches!(line.phase(), Phase::Connecting) {
                    line.set_down("it ends its connections at once");
                } else {
                    pause = SHORTEST_PAUSE;
                }
            }
            Err(reason) => line.set_down(&endpoint.redact(&reason)),
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Makes a connection that answers, from an old one that mends itself or anew.
async fn attempt(
    line: &Line,
    endpoint: &Endpoint,
    old: Option<Connection>,
) -> Result<Connection, String> {
    let mut making = pin!(async {
        if let Some(mut old) = old
            && check(line, &mut old).await.is_ok()
        {
            return Ok(old);
        }
        let mut new = endpoint.connect().await?;
        check(line, &mut new).await?;
        Ok(new)
    });
    let explain = |error: RedisError| why(&judge(&error, line.timeout).0);
    if let Ok(made) = timeout(line.timeout, &mut making).await {
        return made.map_err(explain);
    }
    // Nobody waits for longer than for an answer.
    line.set_down("it does not answer");
    match timeout(endpoint.longest_attempt(), making).await {
        Ok(made) => made.map_err(explain),
        Err(_elapsed) => Err("it does not answer".to_owned()),
    }
}

/// Whether a connection answers, and whether what it leads to will do.
async fn check(line: &Line, connection: &mut Connection) -> RedisResult<()> {
    match connection.ask_any(&ping()).await {
        // Who may not ask this was answered.
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm) => {}
        other => drop(other?),
    }
    if !line.wants_master() || connection.is_cluster() {
        return Ok(());
    }
    let answer = connection.ask_any(&redis::cmd("ROLE")).await;
    let is_replica = answer.is_ok_and(|answer| match answer {
        Value::Array(parts) => {
            !matches!(parts.first(), Some(Value::BulkString(role)) if role == b"master")
        }
        _ => false,
    });
    match is_replica {
        true => Err((ErrorKind::Client, "it is a replica, which takes no writes").into()),
        false => Ok(()),
    }
}

/// Until the line is left. Asks now and then when nobody else does.
async fn look_after(line: &Line, link: &Link) {
    let mut connection = link.connection.clone();
    let mut pause = HEARTBEAT;
    let mut left = pin!(line.left());
    loop {
        tokio::select! {
            () = &mut left => return,
            () = sleep(pause) => {}
        }
        if line.take_used() {
            continue;
        }
        pause = HEARTBEAT;
        let answer = timeout(line.timeout, connection.ask_any(&ping())).await;
        let (reason, verdict) = match answer {
            Ok(Ok(_)) => {
                line.works();
                continue;
            }
            Ok(Err(error)) => judge(&error, line.timeout),
            Err(_elapsed) => (StoreError::Timeout(line.timeout), Verdict::Doubtful),
        };
        line.report(link, verdict, &reason);
        pause = Duration::ZERO; // it is soon known
    }
}
