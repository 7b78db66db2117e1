//! Where things are by default: run-time and state folders, the server's name, absolute paths.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nix::unistd::Uid;

/// The longest name taken from a folder; it leaves room for the socket's path around it.
const LONGEST_DEFAULT_NAME: usize = 40;

/// The longest name that can be said.
const LONGEST_NAME: usize = 64;

/// The folder of the control sockets: of root, of the login session, or a private one.
pub(crate) fn runtime_dir(env: &BTreeMap<String, String>) -> PathBuf {
    runtime_dir_of(Uid::effective(), env)
}

/// The folder of what outlives the server, such as the log of a server in the background.
pub(crate) fn state_dir(env: &BTreeMap<String, String>) -> PathBuf {
    state_dir_of(Uid::effective(), env)
}

fn runtime_dir_of(user: Uid, env: &BTreeMap<String, String>) -> PathBuf {
    if user.is_root() {
        return PathBuf::from("/run/appserver");
    }
    if let Some(session) = folder(env, "XDG_RUNTIME_DIR") {
        return session.join("appserver");
    }
    // Everybody can write there: the uid in the name keeps users apart, and whoever makes the
    // folder checks that it is theirs.
    let temp = folder(env, "TMPDIR").unwrap_or(Path::new("/tmp"));
    temp.join(format!("appserver-{user}"))
}

fn state_dir_of(user: Uid, env: &BTreeMap<String, String>) -> PathBuf {
    if user.is_root() {
        return PathBuf::from("/var/lib/appserver");
    }
    if let Some(state) = folder(env, "XDG_STATE_HOME") {
        return state.join("appserver");
    }
    match folder(env, "HOME") {
        Some(home) => home.join(".local/state/appserver"),
        None => runtime_dir_of(user, env),
    }
}

/// The folder that a variable names; the XDG rules say to ignore a relative one.
fn folder<'a>(env: &'a BTreeMap<String, String>, variable: &str) -> Option<&'a Path> {
    env.get(variable)
        .map(Path::new)
        .filter(|path| path.is_absolute())
}

/// The name of a server that was given none: its folder's, made fit for a file name.
pub(super) fn default_name(cwd: &Path) -> String {
    let folder = cwd
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let plain: String = folder
        .unwrap_or_default()
        .chars()
        .map(|c| if is_name_char(c) { c } else { '-' })
        .skip_while(|c| !c.is_ascii_alphanumeric())
        .take(LONGEST_DEFAULT_NAME)
        .collect();
    if plain.is_empty() {
        "appserver".to_owned()
    } else {
        plain
    }
}

/// Whether `word` can be part of a file name and an argument of a command.
pub(super) fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphanumeric())
        && word.len() <= LONGEST_NAME
        && word.chars().all(is_name_char)
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

/// `path` seen from `base`, which is absolute. Symbolic links and `..` stay as they are.
pub(super) fn absolute(base: &Path, path: &Path) -> PathBuf {
    // Collecting the components drops every `.` in between.
    base.join(path).components().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn the_folders_follow_user_session_and_temp() {
        let (root, user) = (Uid::from_raw(0), Uid::from_raw(1000));
        let session = env(&[
            ("XDG_RUNTIME_DIR", "/run/user/1000"),
            ("XDG_STATE_HOME", "/state"),
        ]);
        let home = env(&[
            ("HOME", "/home/x"),
            ("TMPDIR", "/var/tmp"),
            ("XDG_RUNTIME_DIR", "rel"),
        ]);
        let nothing = env(&[]);
        for (uid, env, runtime, state) in [
            (root, &session, "/run/appserver", "/var/lib/appserver"),
            (
                user,
                &session,
                "/run/user/1000/appserver",
                "/state/appserver",
            ),
            (
                user,
                &home,
                "/var/tmp/appserver-1000",
                "/home/x/.local/state/appserver",
            ),
            (user, &nothing, "/tmp/appserver-1000", "/tmp/appserver-1000"),
        ] {
            assert_eq!(runtime_dir_of(uid, env), Path::new(runtime));
            assert_eq!(state_dir_of(uid, env), Path::new(state));
        }
    }

    #[test]
    fn the_default_name_is_the_folders_made_fit() {
        for (folder, name) in [
            ("/srv/shop", "shop"),
            ("/srv/my shop (2)", "my-shop--2-"),
            ("/srv/.hidden", "hidden"),
            ("/", "appserver"),
            ("/srv/—", "appserver"),
        ] {
            assert_eq!(default_name(Path::new(folder)), name);
            assert!(is_name(&default_name(Path::new(folder))));
        }
        assert_eq!(
            default_name(Path::new(&format!("/{}", "x".repeat(200)))).len(),
            40
        );
    }

    #[test]
    fn a_name_is_fit_for_a_file_and_a_command() {
        for word in ["shop", "a.b_c-2", "0"] {
            assert!(is_name(word), "{word}");
        }
        for word in ["", ".", "..", "-x", "a/b", "a b", "ä", &"x".repeat(65)] {
            assert!(!is_name(word), "{word}");
        }
    }

    #[test]
    fn paths_come_out_absolute_and_plain() {
        for (path, expected) in [("x", "/srv/x"), ("./x/./y", "/srv/x/y"), ("/x", "/x")] {
            assert_eq!(
                absolute(Path::new("/srv"), Path::new(path)),
                Path::new(expected)
            );
        }
    }
}
