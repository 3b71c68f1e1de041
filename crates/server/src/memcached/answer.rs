// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a command failed, as the protocol says it: one line, whose fault it is, what to do, never a value.

use std::fmt;

use throughline::{Error, ErrorKind, ResourceName};
use throughline_wire::memcached::reply;

/// Longest text of an error in bytes. memcached's own are below 100; clients keep room for a line.
const TEXT_LEN_MAX: usize = 400;

/// Why a command has none of its ordinary answers.
#[derive(Debug)]
pub(super) enum Failure {
    /// Reading or writing failed.
    Error(Error),
    /// The key names no resource (this one, if it could be one), and there is no plain space.
    NoResource(Option<ResourceName>),
    /// No record can have a key that is not text.
    KeyNotText,
    /// The command changes bytes, and a record is a row.
    NotForRecords { command: &'static str, resource: ResourceName },
    /// A meta flag that the plain space or a resource has no use for.
    Flag(char),
    /// The item to be counted is no number.
    NoNumber,
    /// The value is larger than the plain space takes.
    TooLarge,
    /// Others changed the item again and again.
    Contended,
    /// Counters only grow.
    StatsReset,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl Failure {
    /// Whether the client can do something about it: `CLIENT_ERROR`, else `SERVER_ERROR`.
    pub(super) fn is_clients(&self) -> bool {
        match self {
            Self::Error(error) => matches!(
                error.kind(),
                ErrorKind::InvalidKey | ErrorKind::InvalidValue | ErrorKind::ReadOnly | ErrorKind::Constraint
            ),
            Self::TooLarge | Self::Contended => false,
            _ => true,
        }
    }

    /// Appends the line.
    pub(super) fn answer(&self, out: &mut Vec<u8>) {
        let text = self.to_string();
        let text = shortened(&text);
        if self.is_clients() {
            reply::client_error(out, text);
        } else {
            reply::server_error(out, text);
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => write!(f, "{error}"),
            Self::NoResource(Some(name)) => {
                write!(f, "there is no resource `{name}` and no plain space for other keys")
            }
            Self::NoResource(None) => f.write_str("the key names no resource and there is no plain space"),
            Self::KeyNotText => f.write_str("a record's key is UTF-8; percent-encode other bytes"),
            Self::NotForRecords { command, resource } => write!(
                f,
                "{command} is for the plain space; a record of `{resource}` is a row: read it, change it, and cas it"
            ),
            Self::Flag(letter) => write!(f, "flag {letter} is not offered here"),
            // These two in memcached's words, which clients know.
            Self::NoNumber => f.write_str("cannot increment or decrement non-numeric value"),
            Self::TooLarge => f.write_str("object too large for cache"),
            Self::Contended => f.write_str("others changed the item again and again; try again"),
            Self::StatsReset => f.write_str("statistics only grow and cannot be reset"),
        }
    }
}

/// The first [`TEXT_LEN_MAX`] bytes, fewer where that would cut a character.
fn shortened(text: &str) -> &str {
    let end = (0..=TEXT_LEN_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::{Failure, TEXT_LEN_MAX};
    use throughline::{Error, ErrorKind};

    fn line(failure: &Failure) -> String {
        let mut out = Vec::new();
        failure.answer(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_error_says_whose_fault_it_is() {
        for (kind, start) in [
            (ErrorKind::InvalidKey, "CLIENT_ERROR "),
            (ErrorKind::InvalidValue, "CLIENT_ERROR "),
            (ErrorKind::Constraint, "CLIENT_ERROR "),
            (ErrorKind::ReadOnly, "CLIENT_ERROR "),
            (ErrorKind::TooLarge, "SERVER_ERROR "),
            (ErrorKind::Denied, "SERVER_ERROR "),
            (ErrorKind::Unavailable, "SERVER_ERROR "),
            (ErrorKind::Timeout, "SERVER_ERROR "),
            (ErrorKind::Overloaded, "SERVER_ERROR "),
            (ErrorKind::Unmarkable, "SERVER_ERROR "),
            (ErrorKind::OutcomeUnknown, "SERVER_ERROR "),
            (ErrorKind::Corrupt, "SERVER_ERROR "),
            (ErrorKind::Closed, "SERVER_ERROR "),
        ] {
            let line = line(&Error::new(kind, "write a record", "column `price`").into());
            assert!(line.starts_with(start), "{line}");
            assert!(line.contains("column `price`"), "{line}");
        }
    }

    #[test]
    fn a_long_text_with_line_ends_is_one_short_line() {
        let detail = format!("ä\r\nEND\r\n{}", "ö".repeat(TEXT_LEN_MAX));
        let line = line(&Error::new(ErrorKind::Other, "load a record", detail).into());
        assert_eq!(line.matches("\r\n").count(), 1);
        assert!(line.len() <= TEXT_LEN_MAX + "SERVER_ERROR \r\n".len(), "{}", line.len());
    }
}
