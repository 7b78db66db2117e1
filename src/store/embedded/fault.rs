//! What LMDB's errors mean to whoever asked.

use std::path::Path;

use heed::{Error, MdbError};
use nix::sys::statvfs::{Statvfs, statvfs};

use super::super::StoreError;

/// How much of a disk must be free for an unexplained failure not to be a lack of room.
const ROOM: u64 = 64 << 10;

/// The error of an operation on the file in `dir`.
pub(super) fn told(error: &Error, dir: &Path) -> StoreError {
    if is_full(error, dir) {
        return StoreError::Full;
    }
    match error {
        Error::Mdb(MdbError::ReadersFull) => {
            StoreError::Unavailable("too many others read at the same time".to_owned())
        }
        error => StoreError::Refused(error.to_string()),
    }
}

/// Whether there is no room left: in the map, or on the disk.
pub(super) fn is_full(error: &Error, dir: &Path) -> bool {
    let number = match error {
        error if is_map_full(error) => return true,
        Error::Mdb(MdbError::Other(number)) => Some(*number), // the system's
        Error::Io(error) => error.raw_os_error(),
        _ => None,
    };
    match number {
        Some(libc::ENOSPC | libc::EDQUOT) => true,
        // LMDB's word for a write that was cut short, as the last one on a disk is.
        Some(libc::EIO) => {
            let free = |disk: Statvfs| disk.blocks_available() * disk.fragment_size();
            statvfs(dir).is_ok_and(|disk| free(disk) < ROOM)
        }
        _ => false,
    }
}

/// Whether it is the map that is full, and not the disk.
pub(super) fn is_map_full(error: &Error) -> bool {
    matches!(error, Error::Mdb(MdbError::MapFull | MdbError::TxnFull))
}

/// Whether the file itself is not what it should be.
pub(super) fn is_damage(error: &Error) -> bool {
    matches!(
        error,
        Error::Mdb(
            MdbError::PageNotFound
                | MdbError::Corrupted
                | MdbError::Panic
                | MdbError::VersionMismatch
                | MdbError::Invalid
                | MdbError::Incompatible
        )
    )
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_full_disk_is_a_full_store() {
        for number in [libc::ENOSPC, libc::EDQUOT] {
            let of_system = Error::Io(io::Error::from_raw_os_error(number));
            let of_lmdb = Error::Mdb(MdbError::Other(number));
            for error in [of_system, of_lmdb] {
                assert!(
                    matches!(told(&error, "/".as_ref()), StoreError::Full),
                    "{error}"
                );
            }
        }
        let full = Error::Mdb(MdbError::MapFull);
        assert!(matches!(told(&full, "/".as_ref()), StoreError::Full));
    }

    #[test]
    fn damage_is_told_from_other_failures() {
        assert!(is_damage(&Error::Mdb(MdbError::Corrupted)));
        assert!(is_damage(&Error::Mdb(MdbError::Invalid)));
        assert!(!is_damage(&Error::Mdb(MdbError::MapFull)));
        let told = told(&Error::Mdb(MdbError::Corrupted), "/".as_ref());
        assert!(matches!(&told, StoreError::Refused(_)), "{told}");
        assert!(!told.is_passing());
    }
}
