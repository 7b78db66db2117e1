//! What a path means: `try_files` over the cache and the folder.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::ACCEPT;
use http::{HeaderMap, StatusCode};
use tokio::runtime::Handle;

use super::cache::{Cache, Known};
use super::file_body::is_cold;
use super::found::{Found, Stamp, Stamps, suffix};
use super::hot::Policy;
use super::keeping::Keeping;
use super::representation::{Content, Representation};
use super::root::Root;
use super::{media_type, path};
use crate::config::{Encoding, Gzip, StaticFiles, TryFile};
use crate::sys::clock::now_ms;
use crate::sys::region::{Window, read_if_in_memory};

/// How often it is looked for open files that nobody asks for.
const SWEEP: Duration = Duration::from_secs(5);

/// What a path means.
pub(super) enum Outcome {
    /// This file.
    File(Rc<Found>),
    /// A folder, asked for without its slash.
    Folder,
    /// Nothing but a status.
    Status(StatusCode),
}

/// Whether a search may wait for a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// No: what is not in memory is left for others to fetch.
    InMemory,
    /// Yes.
    Any,
}

/// Why there is no file.
enum Trouble {
    /// It cannot be had.
    Gone(io::Error),
    /// This part of it is not in memory.
    Cold(Window),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Gone(error)
    }
}

/// A folder, how it is served, and what is remembered of it.
#[derive(Debug)]
pub(super) struct Searched {
    root: Root,
    rules: StaticFiles,
    policy: Policy,
    cache: RefCell<Cache>,
    keeping: Keeping,
    /// Whether the task that closes unused files runs.
    sweeps: Cell<bool>,
}

impl Searched {
    pub(super) fn new(root: Root, rules: StaticFiles, gzip: &Gzip) -> Self {
        let most_bytes = usize::try_from(rules.cache).unwrap_or(usize::MAX);
        let most_open = usize::try_from(rules.open_file_cache).unwrap_or(usize::MAX);
        let policy = Policy::new(gzip, rules.cache > 0);
        Self {
            root,
            rules,
            policy,
            cache: RefCell::new(Cache::new(most_bytes, most_open)),
            keeping: Keeping::default(),
            sweeps: Cell::new(false),
        }
    }

    pub(super) fn keeping(&self) -> &Keeping {
        &self.keeping
    }

    pub(super) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What `asked`, a plain path, means.
    ///
    /// # Errors
    /// What must be fetched first, where there is no patience to wait for it.
    pub(super) fn look(
        self: &Rc<Self>,
        asked: &str,
        headers: &HeaderMap,
        patience: Patience,
    ) -> Result<Outcome, Window> {
        let is_folder = asked.ends_with('/');
        for tried in &self.rules.try_files {
            let result = match tried {
                TryFile::Uri if is_folder => continue, // a file has no slash behind it
                TryFile::UriFolder if !is_folder => match self.root.stat(relative(asked)) {
                    Ok(found) if found.is_dir() => return Ok(Outcome::Folder),
                    Ok(_) => continue,
                    Err(error) => Err(error.into()),
                },
                TryFile::Uri | TryFile::UriFolder => self.find(asked, patience),
                TryFile::Path(text) => {
                    let path = path::with_single_slashes(&text.replace("$uri", asked));
                    if path::is_hidden(&path) {
                        continue;
                    }
                    self.find(&path, patience)
                }
                TryFile::Status(code) => {
                    let status = StatusCode::from_u16(*code);
                    return Ok(Outcome::Status(status.unwrap_or(StatusCode::NOT_FOUND)));
                }
            };
            match result {
                Ok(found) => return Ok(Outcome::File(found)),
                Err(Trouble::Cold(window)) => return Err(window),
                Err(Trouble::Gone(error)) => match status_of(&error) {
                    StatusCode::NOT_FOUND => {}
                    status => return Ok(Outcome::Status(status)),
                },
            }
        }
        if self.rules.spa && path::extension(asked).is_empty() && accepts_html(headers) {
            match self.find("/index.html", patience) {
                Ok(found) => return Ok(Outcome::File(found)),
                Err(Trouble::Cold(window)) => return Err(window),
                Err(Trouble::Gone(error)) => return Ok(Outcome::Status(status_of(&error))),
            }
        }
        Ok(Outcome::Status(StatusCode::NOT_FOUND))
    }

    /// The file at a path, or the index of the folder at a path with a slash behind it.
    fn find(self: &Rc<Self>, key: &str, patience: Patience) -> Result<Rc<Found>, Trouble> {
        let now = now_ms();
        let old = match self.cache.borrow().get(key, now) {
            Known::Good(found) => return Ok(found),
            Known::Old(found) => Some(found),
            Known::Nothing => None,
        };
        let file = if key.ends_with('/') {
            Cow::Owned(format!("{key}index.html"))
        } else {
            Cow::Borrowed(key)
        };
        if let Some(found) = old {
            if self
                .stamps(&file)
                .is_ok_and(|stamps| stamps == found.stamps)
            {
                self.cache.borrow().confirm(key, now);
                return Ok(found);
            }
            self.cache.borrow_mut().remove(key);
        }
        let found = Rc::new(self.load(&file, patience)?);
        self.cache.borrow_mut().insert(key, &found, now);
        self.sweep_open_files();
        Ok(found)
    }

    /// Reads or opens a file, and what lies beside it.
    fn load(&self, path: &str, patience: Patience) -> Result<Found, Trouble> {
        let (file, found) = self.root.read(relative(path))?;
        let (plain, mut is_certain) = self.content(file, &found, patience)?;
        let mut stamps = Stamps {
            plain: Stamp::of(&found),
            beside: [None; Encoding::COUNT],
        };
        let media_type = media_type::of_path(path);
        let mut encoded = Vec::new();
        for (encoding, stamp) in Encoding::ALL.into_iter().zip(&mut stamps.beside) {
            let Some((file, beside)) = self.beside(path, encoding, &found) else {
                continue;
            };
            *stamp = Some(Stamp::of(&beside));
            let (content, is_steady) = self.content(file, &beside, patience)?;
            is_certain &= is_steady;
            let kind = media_type.clone();
            let form =
                Representation::new(&beside, content, kind, Some(encoding), &self.rules, path);
            encoded.push((encoding, form));
        }
        let plain = Representation::new(&found, plain, media_type, None, &self.rules, path);
        Ok(Found::new(plain, encoded, stamps, is_certain, &self.policy))
    }

    /// The encoded form that lies beside a file, unless it is older.
    fn beside(&self, path: &str, encoding: Encoding, of: &Metadata) -> Option<(File, Metadata)> {
        let name = self.name_beside(path, encoding)?;
        let (file, found) = self.root.read(relative(&name)).ok()?;
        is_as_new(&found, of).then_some((file, found))
    }

    /// What an encoded form of a file is called; none where it is not looked for.
    fn name_beside(&self, path: &str, encoding: Encoding) -> Option<String> {
        let is_encoded = Encoding::ALL.iter().any(|own| path.ends_with(suffix(*own)));
        let is_wanted = self.rules.precompressed && !is_encoded;
        is_wanted.then(|| format!("{path}{}", suffix(encoding)))
    }

    /// What the stamps of a file and of what lies beside it are now.
    fn stamps(&self, path: &str) -> io::Result<Stamps> {
        let plain = self.root.stat(relative(path))?;
        let beside = Encoding::ALL.map(|encoding| {
            let name = self.name_beside(path, encoding)?;
            let found = self.root.stat(relative(&name)).ok()?;
            (found.is_file() && is_as_new(&found, &plain)).then(|| Stamp::of(&found))
        });
        let plain = Stamp::of(&plain);
        Ok(Stamps { plain, beside })
    }

    /// The bytes of a small file, or a larger one, open; and whether that can be relied on later.
    fn content(
        &self,
        file: File,
        found: &Metadata,
        patience: Patience,
    ) -> Result<(Content, bool), Trouble> {
        let length = match usize::try_from(found.len()) {
            Ok(length) if found.len() < self.rules.sendfile_min => length,
            Ok(_) | Err(_) => return Ok((Content::Open(Arc::new(file)), true)),
        };
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while filled < length {
            let (rest, at) = (&mut bytes[filled..], filled as u64);
            let read = match patience {
                Patience::InMemory => read_if_in_memory(&file, rest, at),
                Patience::Any => file.read_at(rest, at),
            };
            match read {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if patience == Patience::InMemory && is_cold(&error) => {
                    return Err(Trouble::Cold(Window {
                        file: Arc::new(file),
                        offset: at,
                        len: length - filled,
                        watch: None,
                    }));
                }
                Err(error) => return Err(error.into()),
            }
        }
        bytes.truncate(filled); // it has just become shorter: this is what there is
        let before = Stamp::of(found);
        let is_certain = before.is_steady() && before == Stamp::of(&file.metadata()?);
        Ok((Content::Memory(Bytes::from(bytes)), is_certain))
    }

    /// Sees to it that files which nobody asks for are closed. The task ends with the folder, or
    /// when no file is open.
    fn sweep_open_files(self: &Rc<Self>) {
        if self.sweeps.get() || self.cache.borrow().open() == 0 || Handle::try_current().is_err() {
            return;
        }
        self.sweeps.set(true);
        tokio::task::spawn_local(sweep(Rc::downgrade(self)));
    }
}

async fn sweep(searched: Weak<Searched>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let Some(searched) = searched.upgrade() else {
            return;
        };
        if !searched.cache.borrow_mut().close_idle(now_ms()) {
            searched.sweeps.set(false);
            return;
        }
    }
}

/// A path below the folder.
fn relative(path: &str) -> &Path {
    let path = path.trim_matches('/');
    Path::new(if path.is_empty() { "." } else { path })
}

fn is_as_new(found: &Metadata, as_what: &Metadata) -> bool {
    match (found.modified(), as_what.modified()) {
        (Ok(time), Ok(other)) => time >= other,
        _ => false,
    }
}

/// Whether a page is welcome: says so, says that anything is, or says nothing.
fn accepts_html(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(ACCEPT).iter().peekable();
    if lines.peek().is_none() {
        return true;
    }
    lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(|range| range.split(';').next().unwrap_or("").trim())
        .any(|range| {
            ["text/html", "text/*", "*/*"]
                .iter()
                .any(|own| range.eq_ignore_ascii_case(own))
        })
}

/// What a failure to look up or read a file means to the client.
pub(super) fn status_of(error: &io::Error) -> StatusCode {
    use io::ErrorKind as Kind;
    match (error.kind(), error.raw_os_error()) {
        (Kind::PermissionDenied, _) => StatusCode::FORBIDDEN,
        // Names too long, links that lead outside or in circles, a file used as a folder.
        (Kind::NotFound | Kind::NotADirectory | Kind::CrossesDevices, _)
        | (Kind::InvalidFilename | Kind::InvalidInput, _)
        | (_, Some(libc::ELOOP)) => StatusCode::NOT_FOUND,
        (Kind::WouldBlock, _) | (_, Some(libc::EMFILE | libc::ENFILE)) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        _ => {
            tracing::error!(%error, "cannot read a file");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}
