//! The kinds of values: how each is read, limited and written as TOML.

use super::key::{Limits, Said};

mod header;
mod log_format;
mod media;
mod number;
mod pages;
mod path;
mod proxies;
mod session;
mod site;
mod switch;
mod text;
mod web;
mod word;

pub(super) use header::Field;
pub(super) use log_format::Form;
pub(super) use media::MediaTypes;
pub(super) use number::{Count, Part, Size, Span, Workforce};
pub(super) use pages::Pages;
pub(super) use path::{File, Target};
pub(super) use proxies::Proxies;
pub(super) use session::{
    CookieDomain, CookieName, CookiePath, Hidden, HiddenUrl, KeyPrefix, PlainOneOf,
};
pub(super) use site::{Expiry, Globs, Tries};
pub(super) use switch::Switch;
pub(super) use text::{list, quote};
pub(super) use web::{FieldValue, Fields, Methods, Origins, UrlPath};
pub(super) use word::{Account, Filter, Name, OneOf, Several};

/// How a field of type `T` is read and written.
pub(super) trait Kind<T> {
    /// The checked value, or what is wrong.
    fn read(said: &Said, limits: &Limits<'_>) -> Result<T, String>;
    /// The value in TOML, such that reading gives it back.
    fn show(value: &T) -> String;
}
