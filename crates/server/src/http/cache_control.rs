// SPDX-License-Identifier: MIT OR Apache-2.0
//! The freshness that a request asks for: `Cache-Control` of RFC 9111, section 5.2.1.

use axum::http::HeaderMap;
use axum::http::header::CACHE_CONTROL;

use super::problem::{Problem, ProblemKind};

/// What a request wants of the cache.
///
/// `max-stale` is taken and changes nothing, because nothing stale is ever served. `min-fresh` and unknown
/// directives are ignored, as the RFC says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Freshness {
    /// `no-cache` or `no-store`: the source must answer.
    pub(crate) source: bool,
    /// `only-if-cached`: the source must not be asked.
    pub(crate) cached: bool,
    /// `max-age`, in seconds.
    pub(crate) age_s_max: Option<u64>,
}

impl Freshness {
    /// What `headers` ask for.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut freshness = Self::default();
        for value in headers.get_all(CACHE_CONTROL) {
            let text = value.to_str().map_err(|_| malformed())?;
            for directive in text.split(',') {
                freshness.take(directive.trim())?;
            }
        }
        Ok(freshness)
    }

    /// Whether an entry of this age must not be used.
    pub(crate) fn refuses(&self, age_ms: u64) -> bool {
        // An age of 0 may be an age that the cache counts in seconds, so nobody who wants 0 gets an entry.
        self.source || self.age_s_max.is_some_and(|s| s == 0 || age_ms > s.saturating_mul(1_000))
    }

    fn take(&mut self, directive: &str) -> Result<(), Problem> {
        let (name, argument) = match directive.split_once('=') {
            Some((name, argument)) => (name.trim(), Some(argument.trim())),
            None => (directive, None),
        };
        if name.eq_ignore_ascii_case("no-cache") || name.eq_ignore_ascii_case("no-store") {
            self.source = true;
        } else if name.eq_ignore_ascii_case("only-if-cached") {
            self.cached = true;
        } else if name.eq_ignore_ascii_case("max-age") {
            let age = argument.and_then(seconds).ok_or_else(malformed)?;
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

fn malformed() -> Problem {
    Problem::new(
        ProblemKind::InvalidHeader,
        "`Cache-Control` cannot be read: `max-age` takes a number of seconds",
    )
}

#[cfg(test)]
mod tests {
    use super::Freshness;
    use axum::http::HeaderMap;
    use axum::http::header::CACHE_CONTROL;

    fn freshness(text: &str) -> Option<Freshness> {
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_CONTROL, text.parse().unwrap());
        Freshness::of(&headers).ok()
    }

    #[test]
    fn directives_are_read_whatever_their_case_and_place() {
        let all = freshness("foo=bar, No-Cache , max-age=\"7\",only-if-cached, max-stale").unwrap();
        let expected = Freshness { source: true, cached: true, age_s_max: Some(7) };
        assert_eq!(all, expected);
    }

    #[test]
    fn the_stricter_of_two_ages_counts() {
        assert_eq!(freshness("max-age=9, max-age=3").unwrap().age_s_max, Some(3));
    }

    #[test]
    fn an_entry_is_refused_when_it_is_older_than_asked() {
        let two = freshness("max-age=2").unwrap();
        assert!(!two.refuses(2_000) && two.refuses(2_001));
        assert!(freshness("max-age=0").unwrap().refuses(0));
        assert!(freshness("no-store").unwrap().refuses(0));
        assert!(!freshness("max-stale=5").unwrap().refuses(u64::MAX));
        assert!(!freshness("max-age=99999999999999999999").unwrap().refuses(1 << 60));
    }

    #[test]
    fn an_age_that_is_no_number_is_refused() {
        for text in ["max-age", "max-age=", "max-age=-1", "max-age=1.5", "max-age=\"1"] {
            assert_eq!(freshness(text), None, "{text}");
        }
    }
}
