//! `error_page`: the site's own pages for statuses, read once, when the worker boots.

use std::fs;
use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use http::StatusCode;

use crate::config::{ErrorPage, StatusRange};

/// A page that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the error page {path}")]
pub(crate) struct ErrorPageError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// The pages in memory.
#[derive(Debug, Default)]
pub(crate) struct ErrorPages {
    pages: Vec<(StatusRange, Bytes)>,
}

impl ErrorPages {
    /// Reads them.
    ///
    /// # Errors
    /// Names the first one that cannot be read.
    pub(crate) fn read(configured: &[ErrorPage]) -> Result<Self, ErrorPageError> {
        let read = |page: &ErrorPage| match fs::read(&page.path) {
            Ok(content) => Ok((page.status, content.into())),
            Err(source) => Err(ErrorPageError {
                path: page.path.clone(),
                source,
            }),
        };
        let pages = configured.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Self { pages })
    }

    /// The page for a status: its own, or that of its class.
    pub(super) fn find(&self, status: StatusCode) -> Option<Bytes> {
        let status = status.as_u16();
        let of = |wanted| {
            let found = self.pages.iter().find(|(range, _)| *range == wanted);
            found.map(|(_, page)| page.clone())
        };
        of(StatusRange::One(status)).or_else(|| of(StatusRange::Class(status / 100)))
    }
}
