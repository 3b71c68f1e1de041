// SPDX-License-Identifier: MIT OR Apache-2.0
//! `Prefer` (RFC 7240).

use super::printable;

/// The preferences that we know; others are ignored, as the RFC says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Prefer {
    /// Whether `return=minimal` was said: an answer without a body will do.
    pub minimal: bool,
}

impl Prefer {
    /// Reads the values of all `Prefer` lines of a request. What cannot be read is ignored: a preference
    /// never makes a request fail.
    #[must_use]
    pub fn parse<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let texts = lines.into_iter().filter_map(|line| printable(line).ok());
        // A comma or semicolon in quotes separates too: no preference that we know has one.
        Self { minimal: texts.flat_map(|text| text.split(',')).any(is_minimal) }
    }
}

fn is_minimal(preference: &str) -> bool {
    let preference = preference.split(';').next().unwrap_or_default();
    let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
    name.trim().eq_ignore_ascii_case("return")
        && value.trim().trim_matches('"').eq_ignore_ascii_case("minimal")
}

#[cfg(test)]
mod tests {
    use super::Prefer;

    fn minimal(text: &str) -> bool {
        Prefer::parse([text.as_bytes()]).minimal
    }

    #[test]
    fn the_preference_is_found_among_others() {
        assert!(minimal("respond-async, wait=5, Return=\"minimal\"; foo"));
        assert!(Prefer::parse([&b"wait=5"[..], b"return = minimal"]).minimal);
    }

    #[test]
    fn another_preference_is_not_taken_for_it() {
        for text in ["", "return=representation", "minimal", "return", "foo; return=minimal"] {
            assert!(!minimal(text), "{text}");
        }
    }

    #[test]
    fn a_line_that_cannot_be_read_hides_no_other() {
        assert!(Prefer::parse([&b"\xff"[..], b"return=minimal"]).minimal);
        assert!(!Prefer::parse([&b"\xff, return=minimal"[..]]).minimal);
    }
}
