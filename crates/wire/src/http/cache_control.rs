// SPDX-License-Identifier: MIT OR Apache-2.0
//! `Cache-Control` of a request (RFC 9111, section 5.2.1).

use super::{Malformed, printable};

/// The directives of a request that we know; others are ignored, as the RFC says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheControl {
    /// Whether `no-cache` was said.
    pub no_cache: bool,
    /// Whether `no-store` was said.
    pub no_store: bool,
    /// Whether `only-if-cached` was said.
    pub only_if_cached: bool,
    /// `max-age`, in seconds.
    pub age_s_max: Option<u64>,
}

impl CacheControl {
    /// Reads the values of all `Cache-Control` lines of a request.
    ///
    /// # Errors
    /// A line has bytes beyond printable ASCII, or `max-age` has no number.
    pub fn parse<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, Malformed> {
        let mut all = Self::default();
        for line in lines {
            // A comma in quotes separates too: no directive that we know has one.
            for directive in printable(line)?.split(',') {
                all.take(directive.trim())?;
            }
        }
        Ok(all)
    }

    fn take(&mut self, directive: &str) -> Result<(), Malformed> {
        let (name, argument) = match directive.split_once('=') {
            Some((name, argument)) => (name.trim(), Some(argument.trim())),
            None => (directive, None),
        };
        if name.eq_ignore_ascii_case("no-cache") {
            self.no_cache = true;
        } else if name.eq_ignore_ascii_case("no-store") {
            self.no_store = true;
        } else if name.eq_ignore_ascii_case("only-if-cached") {
            self.only_if_cached = true;
        } else if name.eq_ignore_ascii_case("max-age") {
            let age = argument.and_then(seconds).ok_or(Malformed)?;
            // Said twice, the stricter one counts.
            self.age_s_max = Some(self.age_s_max.map_or(age, |before| before.min(age)));
        }
        Ok(())
    }
}

/// A number of seconds, in quotes or not; one that is too large for us is as good as the largest.
fn seconds(text: &str) -> Option<u64> {
    let quoted = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let digits = quoted.unwrap_or(text);
    let sound = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    sound.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::{CacheControl, Malformed};

    fn parse(text: &str) -> Result<CacheControl, Malformed> {
        CacheControl::parse([text.as_bytes()])
    }

    #[test]
    fn directives_are_read_whatever_their_case_and_place() {
        let all = parse("foo=bar, No-Cache , max-age=\"7\",only-if-cached, max-stale");
        let expected =
            CacheControl { no_cache: true, no_store: false, only_if_cached: true, age_s_max: Some(7) };
        assert_eq!(all, Ok(expected));
        assert!(parse("NO-STORE").unwrap().no_store);
    }

    #[test]
    fn the_stricter_of_two_ages_counts() {
        assert_eq!(parse("max-age=9, max-age=3").unwrap().age_s_max, Some(3));
        let lines = [&b"max-age=3"[..], b"max-age=9"];
        assert_eq!(CacheControl::parse(lines).unwrap().age_s_max, Some(3));
    }

    #[test]
    fn an_age_beyond_all_numbers_is_the_largest() {
        assert_eq!(parse("max-age=99999999999999999999").unwrap().age_s_max, Some(u64::MAX));
    }

    #[test]
    fn an_age_that_is_no_number_is_refused() {
        for text in ["max-age", "max-age=", "max-age=-1", "max-age=1.5", "max-age=\"1", "max-age=\""] {
            assert_eq!(parse(text), Err(Malformed), "{text}");
        }
    }

    #[test]
    fn a_line_that_is_no_text_is_refused() {
        assert_eq!(CacheControl::parse([&b"no-cache"[..], b"\xff"]), Err(Malformed));
    }
}
