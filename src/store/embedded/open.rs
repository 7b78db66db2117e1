//! From a folder to an open file, and back.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use heed::{Env, WithoutTls};

use super::fault::{is_damage, told};
use super::place::{Found, Place, PlaceError, READERS};
use super::tables::Tables;
use crate::config;
use crate::sys::lmdb;

/// Every page size divides it.
const ROUND: u64 = 64 << 10;

/// The part of the room that is no quota of records: pages that readers still look at, and what
/// it takes to delete in a full store.
const RESERVE: usize = 8;
const LEAST_RESERVE: usize = 512 << 10;

/// Why there is no store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum OpenError {
    /// Its folder cannot be used.
    #[error("it cannot be opened: {0}")]
    Place(PlaceError), // shown, and so not a source too
    /// LMDB cannot open its file.
    #[error("it cannot be opened in {dir}: {what}", dir = dir.display())]
    File {
        /// The folder.
        dir: PathBuf,
        /// What LMDB says, or the system.
        what: String,
    },
    /// There is no thread to write.
    #[error("its writer cannot be started: {0}")]
    Thread(io::Error), // shown, and so not a source too
    /// It takes too long.
    #[error("in {dir} it was not open after {after:?}", dir = dir.display())]
    Overdue {
        /// The folder.
        dir: PathBuf,
        /// How long it was waited for.
        after: Duration,
    },
}

impl From<PlaceError> for OpenError {
    fn from(error: PlaceError) -> Self {
        Self::Place(error)
    }
}

/// The file while it is open.
#[derive(Debug, Clone)]
pub(super) struct Open {
    pub(super) env: Env<WithoutTls>,
    pub(super) tables: Tables,
    /// How many bytes records may take.
    pub(super) room: usize,
    /// The bytes of a page.
    pub(super) page: usize,
}

/// Opens the file in its folder; `boot` names the time since the machine was started.
pub(super) fn open(
    config: &config::Store,
    boot: Option<String>,
) -> Result<(Place, Open), OpenError> {
    let dir = &config.dir;
    let wanted = config.size.next_multiple_of(ROUND);
    let (place, found) = Place::enter(dir, boot, wanted)?;
    let is_first = !matches!(found, Found::Others(_));
    let size = match &found {
        Found::Others(size) => {
            if *size != wanted {
                tracing::warn!(
                    "the store in {} stays at {size} bytes, and not {wanted} as `size` in [store] \
                     says now: the size changes when all workers are stopped and started",
                    dir.display()
                );
            }
            *size
        }
        Found::Emptied(reason) => {
            warn_of_loss(dir, reason);
            wanted
        }
        Found::Kept | Found::Nothing => wanted,
    };
    let failed = |error: &heed::Error| OpenError::File {
        dir: dir.clone(),
        what: told(error, dir).to_string(),
    };
    let open = match attempt(dir, size, is_first) {
        Err(error) if is_first && is_damage(&error) => {
            warn_of_loss(dir, &format!("{error}"));
            let anew = place.start_anew(size).map_err(heed::Error::Io);
            anew.and_then(|()| attempt(dir, size, is_first))
        }
        other => other,
    };
    let open = open.map_err(|error| failed(&error))?;
    place.share()?;
    Ok((place, open))
}

fn warn_of_loss(dir: &Path, reason: &str) {
    tracing::warn!(
        "the store in {} starts empty, and what was kept in it is lost: {reason}",
        dir.display()
    );
}

fn attempt(dir: &Path, size: u64, is_first: bool) -> heed::Result<Open> {
    let size = usize::try_from(size)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let env = lmdb::open(dir, size, READERS)?;
    let page = page_size(&env);
    if is_first {
        let pages = env.info().last_page_number + 1;
        let length = env.try_clone_inner_file()?.metadata()?.len();
        // Reading beyond the end of the file would kill the process.
        if length > 0 && length < (pages * page) as u64 && pages > 2 {
            return Err(heed::MdbError::Corrupted.into());
        }
    }
    let tables = if is_first {
        Tables::make(&env)?
    } else {
        Tables::find(&env)?
    };
    let tables = tables.ok_or(heed::MdbError::Invalid)?;
    let size = env.info().map_size;
    let reserve = (size / RESERVE).max(LEAST_RESERVE);
    Ok(Open {
        env,
        tables,
        room: size.saturating_sub(reserve),
        page,
    })
}

fn page_size(env: &Env<WithoutTls>) -> usize {
    usize::try_from(env.unnamed_database_stat().page_size).unwrap_or(4096)
}
