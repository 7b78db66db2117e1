//! How a verb ended, on standard output and standard error.

use std::io::{self, Write};

use serde_json::Value;

use crate::control::Answer;
use crate::exit::Exit;

/// What a verb has to show.
#[derive(Debug)]
pub(super) enum Outcome {
    /// What happened.
    Said(Answer),
    /// What was asked for, in the two forms it can be shown in.
    View {
        /// For humans.
        text: String,
        /// For programs.
        json: Value,
    },
    /// The server ran and has ended; whatever there was to say, it said.
    Served(Exit),
}

impl Outcome {
    /// Prints it and says what to exit with. Bad news and, beside JSON, all text for humans go to
    /// standard error. A reader who has gone away (`| head`) is no failure.
    pub(super) fn print(self, json: bool) -> Exit {
        match self {
            Self::View { json: value, .. } if json => out(&format!("{value:#}")),
            Self::View { text, .. } => out(&text),
            Self::Said(answer) => return say(&answer, &answer.message, json),
            Self::Served(exit) => return exit,
        }
        Exit::Done
    }
}

/// Prints an answer: for programs as it is, for humans as `text`.
pub(super) fn say(answer: &Answer, text: &str, json: bool) -> Exit {
    let exit = Exit::from_code(answer.exit);
    if json {
        let value = serde_json::json!({
            "exit": exit.code(), "message": answer.message, "data": answer.data,
        });
        out(&format!("{value:#}"));
    }
    if json || exit != Exit::Done {
        line(io::stderr(), text);
    } else {
        out(text);
    }
    exit
}

fn out(text: &str) {
    line(io::stdout(), text);
}

fn line(mut to: impl Write, text: &str) {
    if !text.is_empty() {
        let end = if text.ends_with('\n') { "" } else { "\n" };
        let _ = to.write_all(format!("{text}{end}").as_bytes());
    }
}
