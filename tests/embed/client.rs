//! A connection to one worker of `app.rs`, known by its slot.

use serde_json::Value;

use crate::harness::{Appserver, Builder, Connection};

/// The server of `app.rs`.
pub(crate) fn embedded() -> Builder {
    Appserver::example("embedded")
}

/// A connection whose other end is the worker of a certain slot.
#[derive(Debug)]
pub(crate) struct At {
    connection: Connection,
}

impl At {
    /// Opens connections until one is the wanted worker's.
    pub(crate) fn slot(server: &Appserver, slot: u64) -> Self {
        let mut others = Vec::new(); // kept, so that the next one goes elsewhere
        for _ in 0..64 {
            let connection = server.connect();
            let mut at = Self { connection };
            if at.who()["slot"] == slot {
                return at;
            }
            others.push(at);
        }
        panic!("no connection to worker {slot}\n{}", server.situation());
    }

    /// The answer's text.
    pub(crate) fn get(&mut self, path: &str) -> String {
        let response = self.connection.get(path);
        assert_eq!(response.status, 200, "{path}: {response:?}");
        response.text()
    }

    /// What the worker says about itself.
    pub(crate) fn who(&mut self) -> Value {
        serde_json::from_str(&self.get("/who")).unwrap()
    }

    /// The notes that the worker was sent, as `from:text`.
    pub(crate) fn notes(&mut self) -> Vec<String> {
        let text = self.get("/notes");
        text.split(',')
            .filter(|it| !it.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// Waits until the worker has exactly these notes.
    pub(crate) fn wait_notes(&mut self, expected: &[&str]) {
        let mut last = Vec::new();
        let arrived = crate::harness::wait::until(|| {
            last = self.notes();
            (last == expected).then_some(())
        });
        assert!(arrived.is_some(), "{last:?} are not {expected:?}");
    }

    /// The connection itself.
    pub(crate) fn raw(&mut self) -> &mut Connection {
        &mut self.connection
    }
}
