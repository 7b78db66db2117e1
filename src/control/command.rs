//! What an operator can ask of the master.

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One command, as it travels to the master.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub(crate) enum Command {
    /// Is anybody there?
    Ping,
    /// One [`ListRow`](super::ListRow) for each process or empty slot.
    List,
    /// The [`Description`](super::Description) of the server.
    Describe,
    /// Read the configuration again and replace every worker.
    Reload,
    /// Replace workers without reading the configuration.
    Restart {
        /// Only the worker of this slot; all when unset.
        instance: Option<u16>,
    },
    /// Change how many workers there are.
    Scale {
        /// To how many.
        to: ScaleTo,
    },
    /// End the server, or one worker, gracefully.
    Stop {
        /// Only the worker of this slot; the whole server when unset.
        instance: Option<u16>,
        /// How long it may take; `kill_timeout` when unset.
        timeout_ms: Option<u64>,
        /// Do not wait for open requests.
        force: bool,
    },
    /// End the server and its workers at once.
    Kill,
    /// Replace the running program, keeping the pid.
    Upgrade {
        /// The new program (absolute); the path the server was started from when unset.
        binary: Option<PathBuf>,
        /// Only find out whether it would work.
        check: bool,
    },
}

/// How many workers there shall be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ScaleTo {
    /// `4`: exactly so many.
    Exact(u16),
    /// `+2`: so many more than now.
    Up(u16),
    /// `-1`: so many fewer than now.
    Down(u16),
}

impl FromStr for ScaleTo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (make, digits): (fn(u16) -> Self, &str) = match text.as_bytes().first() {
            Some(b'+') => (Self::Up, &text[1..]),
            Some(b'-') => (Self::Down, &text[1..]),
            _ => (Self::Exact, text),
        };
        // A second sign is not a number: u16's own parser would take "+".
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(refusal(text));
        }
        digits.parse().map(make).ok().ok_or_else(|| refusal(text))
    }
}

fn refusal(text: &str) -> String {
    format!(
        "{text:?} is no number of workers: say N, +N or -N, at most {}",
        u16::MAX
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scale_to_reads_three_forms() {
        assert_eq!("4".parse(), Ok(ScaleTo::Exact(4)));
        assert_eq!("+2".parse(), Ok(ScaleTo::Up(2)));
        assert_eq!("-1".parse(), Ok(ScaleTo::Down(1)));
        for wrong in ["", "+", "-", "++1", "+-1", "4x", "65536", "٣", "é"] {
            assert!(wrong.parse::<ScaleTo>().is_err(), "{wrong:?} was taken");
        }
    }

    #[test]
    fn commands_keep_their_form_on_the_wire() {
        let cases = [
            (Command::Ping, r#"{"verb":"ping"}"#),
            (
                Command::Restart { instance: Some(3) },
                r#"{"verb":"restart","instance":3}"#,
            ),
            (
                Command::Scale { to: ScaleTo::Up(2) },
                r#"{"verb":"scale","to":{"up":2}}"#,
            ),
            (
                Command::Stop {
                    instance: None,
                    timeout_ms: Some(5),
                    force: true,
                },
                r#"{"verb":"stop","instance":null,"timeout_ms":5,"force":true}"#,
            ),
        ];
        for (command, text) in cases {
            assert_eq!(serde_json::to_string(&command).unwrap(), text);
            assert_eq!(serde_json::from_str::<Command>(text).unwrap(), command);
        }
    }
}
