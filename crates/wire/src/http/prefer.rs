// SPDX-License-Identifier: MIT OR Apache-2.0
//! `Prefer` (RFC 7240).

use super::printable;

/// The preferences that we know; others are ignored, as the RFC says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Prefer {
    /// Whether `return=minimal` was said: an answer without a body will do.
    pub minimal: bool,
    /// How long the client would wait, in seconds (`wait=5`), if it said so; the first of several.
    pub wait_s: Option<u32>,
}

impl Prefer {
    /// Reads the values of all `Prefer` lines of a request. What cannot be read is ignored: a preference
    /// never makes a request fail.
    #[must_use]
    pub fn parse<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let texts = lines.into_iter().filter_map(|line| printable(line).ok());
        // A comma or semicolon in quotes separates too: no preference that we know has one.
        let mut prefer = Self::default();
        for (name, value) in texts.flat_map(|text| text.split(',')).map(preference) {
            if name.eq_ignore_ascii_case("return") {
                prefer.minimal |= value.eq_ignore_ascii_case("minimal");
            } else if name.eq_ignore_ascii_case("wait") {
                prefer.wait_s = prefer.wait_s.or_else(|| value.parse().ok());
            }
        }
        prefer
    }
}

/// The name and the value of a preference, without its parameters.
fn preference(text: &str) -> (&str, &str) {
    let preference = text.split(';').next().unwrap_or_default();
    let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
    (name.trim(), value.trim().trim_matches('"'))
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
    fn how_long_to_wait_is_a_number_of_seconds() {
        let wait = |text: &str| Prefer::parse([text.as_bytes()]).wait_s;
        assert_eq!(wait("return=minimal, Wait=5"), Some(5));
        assert_eq!(wait("wait=\"10\", wait=20"), Some(10));
        for text in ["wait", "wait=", "wait=-1", "wait=99999999999", "respond-async"] {
            assert_eq!(wait(text), None, "{text}");
        }
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
