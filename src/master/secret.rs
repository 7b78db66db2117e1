//! The secret of sessions where nobody has said one, as in development: made by the master, so
//! that all workers have the same, and kept for as long as the server lives.

use std::io;

use super::plan::PlanError;
use super::seed::Plan;
use crate::config::Secret;

/// How much of it is random, in bytes.
const RANDOM: usize = 32;

impl Plan {
    /// Gives the plan the secret that is missing: the one that was `kept`, or a new one.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub(crate) fn add_secret(&mut self, kept: &mut Option<Secret>) -> Result<(), PlanError> {
        if !self.config.needs_session_secret() {
            return Ok(());
        }
        let secret = match kept.take() {
            Some(secret) => secret,
            None => {
                tracing::warn!(
                    "sessions have no `secret`: one was made, and visitors are logged out when \
                     the server stops"
                );
                new().map_err(PlanError::Secret)?
            }
        };
        self.config.session.secret = vec![secret.clone()];
        *kept = Some(secret);
        Ok(())
    }
}

fn new() -> io::Result<Secret> {
    let mut random = [0; RANDOM];
    getrandom::fill(&mut random)?;
    let digits = random.iter().map(|byte| format!("{byte:02x}"));
    Ok(Secret::new(digits.collect::<String>()))
}
