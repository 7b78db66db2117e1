//! Replacing this process's image.

use std::convert::Infallible;
use std::ffi::{CString, OsString};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use nix::unistd::execve;

/// Replaces the image of this process by the program at `path`; only an error returns. It is
/// `execve`, not `execvp` as in `Command::exec`: that one hands a file which is no program to the
/// shell, and the server would be gone.
///
/// # Errors
/// `ENOENT`, `EACCES`, `ENOEXEC` and the other errors of `execve(2)`; this image then goes on.
pub(crate) fn replace(
    path: &Path,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
) -> io::Result<Infallible> {
    let path = c_string(path.as_os_str().to_owned())?;
    let args = args.into_iter().map(c_string).collect::<io::Result<Vec<_>>>()?;
    let env = env
        .into_iter()
        .map(|(mut name, value)| {
            name.push("=");
            name.push(value);
            c_string(name)
        })
        .collect::<io::Result<Vec<_>>>()?;
    Ok(execve(&path, &args, &env)?)
}

fn c_string(text: OsString) -> io::Result<CString> {
    CString::new(text.into_vec()).map_err(io::Error::other)
}
