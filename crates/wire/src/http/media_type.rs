// SPDX-License-Identifier: MIT OR Apache-2.0
//! Media types (RFC 9110, section 8.3.1), as `Content-Type` says one.

use super::{Malformed, printable};

/// A media type with its parameters.
///
/// Type and names are compared without their case. A `;` in quotes separates too: no parameter that we ask for has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaType<'a> {
    essence: &'a str,
    parameters: &'a str,
}

impl<'a> MediaType<'a> {
    /// Reads the value of a `Content-Type` line; whether it has a `/` is not checked.
    ///
    /// # Errors
    /// The line has bytes beyond printable ASCII.
    pub fn parse(line: &'a [u8]) -> Result<Self, Malformed> {
        let text = printable(line)?;
        let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
        Ok(Self { essence: essence.trim(), parameters })
    }

    /// Whether it is `essence`, such as `text/plain`, whatever its parameters.
    #[must_use]
    pub fn is(&self, essence: &str) -> bool {
        self.essence.eq_ignore_ascii_case(essence)
    }

    /// Whether no `charset` names another encoding than UTF-8.
    #[must_use]
    pub fn is_utf8(&self) -> bool {
        let parameters = self.parameters.split(';').filter_map(|parameter| parameter.trim().split_once('='));
        let mut charsets = parameters.filter(|(name, _)| name.eq_ignore_ascii_case("charset"));
        charsets.all(|(_, charset)| {
            let charset = charset.trim_matches('"');
            charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("utf8")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Malformed, MediaType};

    fn parse(text: &str) -> MediaType<'_> {
        MediaType::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_type_is_compared_whole_and_without_its_case() {
        for same in ["text/plain", "Text/PLAIN", " text/plain ; charset=latin1", "text/plain;"] {
            assert!(parse(same).is("text/plain"), "{same}");
        }
        for other in ["", "text/plainer", "text", "text/plain+x", ";text/plain"] {
            assert!(!parse(other).is("text/plain"), "{other}");
        }
    }

    #[test]
    fn every_charset_must_be_utf8() {
        for utf8 in ["a/b", "a/b;v=1", "a/b; Charset=UTF-8", "a/b;v=1 ;charset=\"utf8\"", "a/b;charset"] {
            assert!(parse(utf8).is_utf8(), "{utf8}");
        }
        for other in ["a/b;charset=latin1", "a/b;charset=", "a/b;charset=utf-8;charset=utf-16"] {
            assert!(!parse(other).is_utf8(), "{other}");
        }
    }

    #[test]
    fn a_line_that_is_no_text_is_refused() {
        assert_eq!(MediaType::parse(b"text/plain\xff"), Err(Malformed));
    }
}
