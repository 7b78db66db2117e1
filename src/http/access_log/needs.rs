//! What has to be remembered of a request for its line; nothing else is.

use http::HeaderName;

use crate::config::{LogFormat, Piece, Token};

/// What lines of a format are made of.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "a set of questions")]
pub(super) struct Needs {
    /// The date of its end.
    date: bool,
    /// The time until its end.
    total_time: bool,
    /// The time until the head of the response.
    pub(super) response_time: bool,
    /// The length that was announced.
    pub(super) length: bool,
    pub(super) user: bool,
    pub(super) referer: bool,
    pub(super) user_agent: bool,
    /// Fields of heads, in the order of the pattern.
    pub(super) fields: Vec<(Side, HeaderName)>,
}

/// Whose head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Request,
    Response,
}

impl Needs {
    pub(super) fn of(format: &LogFormat) -> Self {
        let nothing = Self::default();
        let apache = Self {
            date: true,
            length: true,
            user: true,
            ..Self::default()
        };
        let timed = Self {
            response_time: true,
            length: true,
            ..Self::default()
        };
        match format {
            LogFormat::Common => apache,
            LogFormat::Combined => Self {
                referer: true,
                user_agent: true,
                ..apache
            },
            LogFormat::Dev | LogFormat::Tiny => timed,
            LogFormat::Short => Self {
                user: true,
                ..timed
            },
            LogFormat::Json => Self {
                date: true,
                total_time: true,
                referer: true,
                user_agent: true,
                ..nothing
            },
            LogFormat::Pattern(pattern) => {
                let mut needs = nothing;
                pattern.pieces().iter().for_each(|piece| needs.add(piece));
                needs
            }
        }
    }

    fn add(&mut self, piece: &Piece) {
        let Piece::Token(token) = piece else { return };
        match token {
            Token::Date(_) => self.date = true,
            Token::TotalTime(_) => self.total_time = true,
            Token::ResponseTime(_) => self.response_time = true,
            Token::RemoteUser => self.user = true,
            Token::Referrer => self.referer = true,
            Token::UserAgent => self.user_agent = true,
            Token::RequestField(name) => self.add_field(Side::Request, name),
            Token::ResponseField(name) => self.add_field(Side::Response, name),
            _ => {}
        }
    }

    fn add_field(&mut self, side: Side, name: &str) {
        // The configuration was checked: whatever is no name would be one that nobody sends.
        let name = HeaderName::from_bytes(name.as_bytes());
        let name = name.unwrap_or(HeaderName::from_static("-"));
        self.fields.push((side, name));
    }

    /// Whether the clock has to be read when a request ends.
    pub(super) fn has_to_know_the_end(&self) -> bool {
        self.total_time || self.date
    }
}
