//! Paths of files and folders, absolute once they are read.

use std::path::PathBuf;

use super::Kind;
use super::text::{list, quote};
use crate::config::dirs::absolute;
use crate::config::key::{Limits, Said};
use crate::config::types::{LogTarget, Root};

/// The path of a file or folder.
pub(in crate::config) struct File;

/// Where a log goes.
pub(in crate::config) struct Target;

impl Kind<PathBuf> for File {
    fn read(said: &Said, limits: &Limits<'_>) -> Result<PathBuf, String> {
        let path = said.text().ok_or_else(|| said.not("a path"))?;
        if path.contains('\0') {
            return Err("a path cannot have a zero byte in it".to_owned());
        }
        Ok(absolute(limits.base, path.as_ref()))
    }

    fn show(value: &PathBuf) -> String {
        quote(&value.to_string_lossy())
    }
}

impl Kind<Option<PathBuf>> for File {
    fn read(said: &Said, limits: &Limits<'_>) -> Result<Option<PathBuf>, String> {
        Self::read(said, limits).map(Some)
    }

    fn show(value: &Option<PathBuf>) -> String {
        value.as_ref().map_or_else(|| quote(""), Self::show)
    }
}

impl Kind<Vec<PathBuf>> for File {
    fn read(said: &Said, limits: &Limits<'_>) -> Result<Vec<PathBuf>, String> {
        let paths = list(said).ok_or_else(|| said.not("a list of paths"))?;
        paths
            .into_iter()
            .map(|path| Self::read(&Said::Text(path), limits))
            .collect()
    }

    fn show(value: &Vec<PathBuf>) -> String {
        let paths: Vec<String> = value.iter().map(Self::show).collect();
        format!("[{}]", paths.join(", "))
    }
}

impl Kind<Root> for File {
    fn read(said: &Said, limits: &Limits<'_>) -> Result<Root, String> {
        Self::read(said, limits).map(Root::Folder)
    }

    fn show(value: &Root) -> String {
        match value {
            Root::Folder(folder) => Self::show(folder),
            Root::Welcome => quote(""),
        }
    }
}

impl Kind<LogTarget> for Target {
    fn read(said: &Said, limits: &Limits<'_>) -> Result<LogTarget, String> {
        match said.text() {
            Some("off") => Ok(LogTarget::Off),
            Some("stdout") => Ok(LogTarget::Stdout),
            Some("stderr") => Ok(LogTarget::Stderr),
            Some(_) if !said.is_blank() => File::read(said, limits).map(LogTarget::File),
            Some(_) => Err("expected \"stdout\", \"stderr\", \"off\" or a file".to_owned()),
            None => Err(said.not("\"stdout\", \"stderr\", \"off\" or a file")),
        }
    }

    fn show(value: &LogTarget) -> String {
        match value {
            LogTarget::Off => quote("off"),
            LogTarget::Stdout => quote("stdout"),
            LogTarget::Stderr => quote("stderr"),
            LogTarget::File(file) => File::show(file),
        }
    }
}
