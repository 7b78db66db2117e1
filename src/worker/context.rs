//! What an embedded app learns about the worker it runs in.

use crate::master::Seed;

/// Where an app runs: which worker of which server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerContext {
    slot: u16,
    pid: u32,
    generation: u64,
    instance_id: String,
}

impl WorkerContext {
    pub(super) fn new(seed: &Seed) -> Self {
        Self {
            slot: seed.slot.0,
            pid: std::process::id(),
            generation: seed.plan.generation,
            instance_id: seed.instance_id.clone(),
        }
    }

    /// The worker's place, from 0; its successors have the same.
    #[must_use]
    pub fn id(&self) -> u16 {
        self.slot
    }

    /// The worker's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// How many reloads and upgrades there had been when this worker was born.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The server's id: a UUID made at its first start, the same for all its workers, kept over
    /// reloads and upgrades.
    #[must_use]
    pub fn instance_id(&self) -> &str {
        &self.instance_id
    }
}
