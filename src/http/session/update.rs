//! Changes that depend on what is there, such as counting: made again when others come between.

use super::slot::Slot;
use super::state::Standing;
use super::wire::Record;
use super::{Keeper, SessionError};

/// Makes the change to a record. It may be asked several times, each time with another record.
pub(super) type Change<'a> = &'a mut (dyn FnMut(&mut Record) -> Result<(), SessionError> + Send);

impl Slot {
    /// Makes a change and saves the session with it. The turn is the caller's.
    pub(super) async fn update(&self, change: Change<'_>) -> Result<(), SessionError> {
        let is_known = self.look(|state| state.standing != Standing::Anonymous);
        if let (Keeper::Store(..), Some(true)) = (&self.sessions.keeper, is_known) {
            match self.write_changed(Some(change)).await {
                Err(error @ SessionError::Store(_)) => self.sessions.forgive(error)?,
                Err(error) => return Err(error),
                Ok(()) => {
                    self.look(|state| state.is_modified = true);
                    return Ok(());
                }
            }
            // Nor is it tried again at the end: the change may have happened, and others since.
            self.look(|state| state.standing = Standing::Anonymous);
        }
        self.update_here(change)
    }

    /// The same where there is nothing to be compared with.
    fn update_here(&self, change: Change<'_>) -> Result<(), SessionError> {
        if let Keeper::Cookie(_) = self.sessions.keeper {
            self.check_unsent()?;
        }
        loop {
            let (version, mut record) = self.change(|it| Ok((it.version, it.record.clone())))?;
            // Out of the lock: it is the app's, which may ask the session something.
            change(&mut record)?;
            let is_done = self.change(|state| {
                let is_same = state.version == version;
                if is_same {
                    state.record = record;
                    state.changed();
                }
                Ok(is_same)
            })?;
            if is_done {
                return Ok(());
            }
        }
    }
}
