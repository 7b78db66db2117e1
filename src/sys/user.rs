//! Giving up root.

use std::io;

use nix::unistd::{Gid, Group, Uid, User, setgid, setgroups, setuid};

/// Who a worker shall be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The user id it switches to.
    pub(crate) uid: Uid,
    /// Its only group.
    pub(crate) gid: Gid,
}

/// Looks up the `user` and `group` of the configuration; without a group, the user's own.
///
/// # Errors
/// Names the user or group that does not exist.
pub(crate) fn find(user: &str, group: Option<&str>) -> Result<Identity, String> {
    let account = match user.parse::<u32>() {
        Ok(id) => User::from_uid(Uid::from_raw(id)),
        Err(_) => User::from_name(user),
    };
    let account = account
        .ok()
        .flatten()
        .ok_or_else(|| format!("there is no user {user:?}"))?;
    let gid = match group {
        None => account.gid,
        Some(group) => {
            let found = match group.parse::<u32>() {
                Ok(id) => Group::from_gid(Gid::from_raw(id)),
                Err(_) => Group::from_name(group),
            };
            found
                .ok()
                .flatten()
                .ok_or_else(|| format!("there is no group {group:?}"))?
                .gid
        }
    };
    Ok(Identity {
        uid: account.uid,
        gid,
    })
}

/// Becomes `identity`, for good.
///
/// # Errors
/// The error of `setgroups`, `setgid` or `setuid`; the process must then end.
pub(crate) fn become_user(identity: Identity) -> io::Result<()> {
    setgroups(&[identity.gid])?;
    setgid(identity.gid)?;
    setuid(identity.uid)?;
    Ok(())
}

/// Whether this process is root.
pub(crate) fn is_root() -> bool {
    Uid::effective().is_root()
}
