//! What LMDB's errors mean to whoever asked.

use std::io;

use heed::{Error, MdbError};

use super::super::StoreError;

/// The error of an operation.
pub(super) fn told(error: &Error) -> StoreError {
    if is_full(error) {
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
pub(super) fn is_full(error: &Error) -> bool {
    match error {
        Error::Mdb(MdbError::MapFull | MdbError::TxnFull) => true,
        // LMDB passes the system's error numbers on.
        Error::Mdb(MdbError::Other(number)) => is_disk_full(&io::Error::from_raw_os_error(*number)),
        Error::Io(error) => is_disk_full(error),
        _ => false,
    }
}

/// Whether the disk is full, or the user's share of it.
fn is_disk_full(error: &io::Error) -> bool {
    let kind = error.kind();
    kind == io::ErrorKind::StorageFull || kind == io::ErrorKind::QuotaExceeded
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
    use super::*;

    #[test]
    fn a_full_disk_is_a_full_store() {
        for number in [libc::ENOSPC, libc::EDQUOT] {
            let of_system = Error::Io(io::Error::from_raw_os_error(number));
            let of_lmdb = Error::Mdb(MdbError::Other(number));
            for error in [of_system, of_lmdb] {
                assert!(matches!(told(&error), StoreError::Full), "{error}");
            }
        }
        let full = Error::Mdb(MdbError::MapFull);
        assert!(matches!(told(&full), StoreError::Full));
    }

    #[test]
    fn damage_is_told_from_other_failures() {
        assert!(is_damage(&Error::Mdb(MdbError::Corrupted)));
        assert!(is_damage(&Error::Mdb(MdbError::Invalid)));
        assert!(!is_damage(&Error::Mdb(MdbError::MapFull)));
        let told = told(&Error::Mdb(MdbError::Corrupted));
        assert!(matches!(&told, StoreError::Refused(_)), "{told}");
        assert!(!told.is_passing());
    }
}
