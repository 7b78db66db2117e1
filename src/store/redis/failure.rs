//! What an error of Redis means: to who asked, and for the connection.

use std::time::Duration;

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::StoreError;

/// What an error says about the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It works: Redis has answered.
    Works,
    /// It may not work; some more of these and it does not.
    Doubtful,
    /// It is lost. A new one may be had at once.
    Broken,
    /// It works, but not for us (yet): what it leads to refuses us, or is still loading.
    Unfit,
    /// It leads to a replica now, which takes no writes.
    Replica,
}

/// What `error` means.
pub(super) fn judge(error: &RedisError, timeout: Duration) -> (StoreError, Verdict) {
    use StoreError::{Full, Lost, Refused, Timeout, Unavailable};

    let text = error.to_string();
    let code = error.code().unwrap_or_default();
    if code == "OOM" || text.contains("OOM command not allowed") {
        return (Full, Verdict::Works);
    }
    match error.kind() {
        ErrorKind::Io if error.is_timeout() => (Timeout(timeout), Verdict::Doubtful),
        ErrorKind::Io if error.is_connection_refusal() => (Unavailable(text), Verdict::Broken),
        ErrorKind::Io => (Lost(text), Verdict::Broken),
        ErrorKind::AuthenticationFailed => (Unavailable(login(&text)), Verdict::Unfit),
        ErrorKind::Parse => (Refused(text), Verdict::Unfit),
        ErrorKind::ClusterConnectionNotFound
        | ErrorKind::MasterNameNotFoundBySentinel
        | ErrorKind::NoValidReplicasFoundBySentinel => (Unavailable(text), Verdict::Doubtful),
        ErrorKind::Server(kind) => server(kind, error, text),
        _ if matches!(code, "NOAUTH" | "WRONGPASS") => (Unavailable(login(&text)), Verdict::Unfit),
        _ => (Refused(text), Verdict::Works),
    }
}

fn server(kind: ServerErrorKind, error: &RedisError, text: String) -> (StoreError, Verdict) {
    use StoreError::{Refused, Unavailable};

    let detail = error.detail().unwrap_or_default();
    match kind {
        ServerErrorKind::NoPerm => {
            let needed = "get set del expire pexpire eval evalsha scan ping";
            let text = format!("its ACL is too narrow, {needed} are needed: {detail}");
            (Refused(text), Verdict::Works)
        }
        ServerErrorKind::Moved | ServerErrorKind::Ask | ServerErrorKind::CrossSlot => {
            let hint = "it is a node of a cluster, whose URL begins with redis+cluster://";
            (Refused(hint.to_owned()), Verdict::Works)
        }
        ServerErrorKind::BusyLoading => {
            let text = "it is loading its data".to_owned();
            (Unavailable(text), Verdict::Unfit)
        }
        ServerErrorKind::ReadOnly => {
            let text = "it is a replica, which takes no writes".to_owned();
            (Unavailable(text), Verdict::Replica)
        }
        ServerErrorKind::MasterDown | ServerErrorKind::ClusterDown | ServerErrorKind::TryAgain => {
            (Unavailable(text), Verdict::Doubtful)
        }
        _ => (Refused(text), Verdict::Works),
    }
}

/// Why a login failed.
fn login(text: &str) -> String {
    format!("it does not take the user and password of the URL: {text}")
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn from_server(line: &str) -> RedisError {
        let answer = redis::parse_redis_value(format!("-{line}\r\n").as_bytes());
        let value = answer.and_then(redis::Value::extract_error);
        value.expect_err("it is an error")
    }

    fn judged(line: &str) -> (String, bool, Verdict) {
        let (error, verdict) = judge(&from_server(line), Duration::from_millis(5));
        (error.to_string(), error.is_passing(), verdict)
    }

    #[test]
    fn what_a_server_answers_says_how_the_connection_is() {
        for (line, part, is_passing, verdict) in [
            (
                "OOM command not allowed when used memory > 'maxmemory'.",
                "full",
                true,
                Verdict::Works,
            ),
            (
                "ERR Error running script: -OOM command not allowed",
                "full",
                true,
                Verdict::Works,
            ),
            (
                "NOPERM no permission to run 'evalsha'",
                "ACL",
                false,
                Verdict::Works,
            ),
            (
                "MOVED 3999 127.0.0.1:6381",
                "redis+cluster://",
                false,
                Verdict::Works,
            ),
            (
                "LOADING Redis is loading the dataset",
                "loading",
                true,
                Verdict::Unfit,
            ),
            (
                "READONLY You can't write against a replica.",
                "replica",
                true,
                Verdict::Replica,
            ),
            (
                "CLUSTERDOWN The cluster is down",
                "down",
                true,
                Verdict::Doubtful,
            ),
            (
                "NOAUTH Authentication required.",
                "password",
                true,
                Verdict::Unfit,
            ),
            (
                "WRONGPASS invalid username-password pair",
                "password",
                true,
                Verdict::Unfit,
            ),
            (
                "MISCONF Redis is configured to save",
                "MISCONF",
                false,
                Verdict::Works,
            ),
            (
                "WRONGTYPE Operation against a key",
                "WRONGTYPE",
                false,
                Verdict::Works,
            ),
        ] {
            let (text, passes, judgement) = judged(line);
            assert!(text.contains(part), "{line}: {text}");
            assert_eq!((passes, judgement), (is_passing, verdict), "{line}");
        }
    }

    #[test]
    fn a_lost_connection_leaves_it_open_what_has_happened() {
        let timeout = Duration::from_millis(5);
        let lost = io::Error::from(io::ErrorKind::ConnectionReset);
        let (error, verdict) = judge(&lost.into(), timeout);
        assert!(matches!(error, StoreError::Lost(_)), "{error:?}");
        assert_eq!(verdict, Verdict::Broken);
        let (error, verdict) = judge(&io::Error::from(io::ErrorKind::TimedOut).into(), timeout);
        assert!(matches!(error, StoreError::Timeout(_)), "{error:?}");
        assert_eq!(verdict, Verdict::Doubtful);
    }
}
