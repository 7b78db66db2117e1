//! The folder of the embedded store: made by the master, which may be root, for workers that are
//! not. The master never opens what is in it.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown, fchown,
};
use std::path::Path;

use crate::config;
use crate::sys::user::Identity;

/// What the rights of the folders above need for others to pass through.
const PASS: u32 = 0o011;

/// Makes the folder at `dir`, which only its owner can enter: `owner`, or whoever runs this.
///
/// # Errors
/// What the system says.
pub(super) fn make(dir: &Path, owner: Option<Identity>) -> io::Result<()> {
    let servers = config::state_dir(&BTreeMap::new());
    make_below(dir, owner, &servers)
}

/// The same; in `servers`, which are the folders of servers, the ways in are private.
fn make_below(dir: &Path, owner: Option<Identity>, servers: &Path) -> io::Result<()> {
    if !dir.is_dir() {
        let parent = dir.parent().unwrap_or(Path::new("/"));
        let mut folders = DirBuilder::new();
        folders.recursive(true).mode(0o755).create(parent)?;
        match DirBuilder::new().mode(0o700).create(dir) {
            Err(error) if !dir.is_dir() => return Err(error),
            _ => {} // another master has made it in this moment
        }
    }
    let Some(owner) = owner else {
        return Ok(());
    };
    // Logs lie there too, which have rights of their own.
    let above = dir.ancestors().skip(1);
    for folder in above.take_while(|folder| folder.starts_with(servers)) {
        let mode = folder.metadata()?.mode();
        if mode & PASS != PASS {
            fs::set_permissions(folder, Permissions::from_mode(mode | PASS))?;
        }
    }
    if dir.metadata()?.uid() != owner.uid.as_raw() {
        give(dir, owner)?;
    }
    Ok(())
}

/// Gives the folder and the files in it to somebody else, as when `user` has changed.
fn give(dir: &Path, owner: Identity) -> io::Result<()> {
    let (uid, gid) = (Some(owner.uid.as_raw()), Some(owner.gid.as_raw()));
    for entry in fs::read_dir(dir)? {
        // The former owner may have put a link there: to be given somebody else's file.
        let mut file = OpenOptions::new();
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let Ok(file) = file.read(true).custom_flags(flags).open(entry?.path()) else {
            continue;
        };
        let found = file.metadata()?;
        if found.is_file() && found.nlink() == 1 {
            fchown(&file, uid, gid)?;
        }
    }
    chown(dir, uid, gid)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use nix::unistd::{Gid, Uid};

    use super::*;
    use crate::sys::user;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().mode() & 0o777
    }

    #[test]
    fn it_is_private_and_made_once() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("a/b/store");
        for _ in 0..2 {
            make(&dir, None).unwrap();
            assert_eq!(mode(&dir), 0o700);
        }
        let file = temp.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(make(&file.join("store"), None).is_err());
        assert!(make(&file, None).is_err());
    }

    #[test]
    fn workers_without_rights_can_reach_it_and_own_it() {
        if !user::is_root() {
            return; // nobody else can give files away
        }
        let temp = tempfile::tempdir().unwrap();
        let servers = temp.path().join("appserver");
        let above = mode(temp.path());
        let mut private = DirBuilder::new();
        private.recursive(true).mode(0o700);
        private.create(servers.join("shop")).unwrap();
        let dir = servers.join("shop/store");
        make_below(&dir, None, &servers).unwrap();
        assert_eq!(mode(&servers), 0o700, "root can enter anyway");
        let secret = temp.path().join("secret");
        for file in [&dir.join("data"), &secret] {
            fs::write(file, "").unwrap();
        }
        symlink(&secret, dir.join("link")).unwrap();
        fs::hard_link(&secret, dir.join("hard")).unwrap();
        let owner = Identity {
            uid: Uid::from_raw(65_534),
            gid: Gid::from_raw(65_534),
        };
        make_below(&dir, Some(owner), &servers).unwrap();
        for path in [&dir, &dir.join("data")] {
            let found = path.metadata().unwrap();
            assert_eq!((found.uid(), found.gid()), (65_534, 65_534));
        }
        assert_eq!(mode(&dir), 0o700);
        assert_eq!(secret.metadata().unwrap().uid(), 0);
        assert_eq!(
            (mode(&servers), mode(&servers.join("shop"))),
            (0o711, 0o711)
        );
        assert_eq!(mode(temp.path()), above, "what is above is not ours");
    }
}
