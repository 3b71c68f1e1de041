// SPDX-License-Identifier: MIT OR Apache-2.0
//! The freshness that a request asks for: `Cache-Control` of RFC 9111, section 5.2.1.

use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderMap, HeaderValue};
use throughline_wire::http::{CacheControl, Malformed};

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
        let lines = headers.get_all(CACHE_CONTROL).into_iter().map(HeaderValue::as_bytes);
        let asked = CacheControl::parse(lines).map_err(|Malformed| malformed())?;
        Ok(Self {
            source: asked.no_cache || asked.no_store,
            cached: asked.only_if_cached,
            age_s_max: asked.age_s_max,
        })
    }

    /// Whether an entry of this age must not be used.
    pub(crate) fn refuses(&self, age_ms: u64) -> bool {
        // An age of 0 may be an age that the cache counts in seconds, so nobody who wants 0 gets an entry.
        self.source || self.age_s_max.is_some_and(|s| s == 0 || age_ms > s.saturating_mul(1_000))
    }
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
    fn each_directive_asks_for_its_part() {
        let of = |source, cached, age_s_max| Some(Freshness { source, cached, age_s_max });
        assert_eq!(freshness("no-cache"), of(true, false, None));
        assert_eq!(freshness("no-store"), of(true, false, None));
        assert_eq!(freshness("only-if-cached"), of(false, true, None));
        assert_eq!(freshness("max-age=7, max-stale, foo"), of(false, false, Some(7)));
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
    fn a_header_that_cannot_be_read_is_refused() {
        assert_eq!(freshness("max-age=soon"), None);
    }
}
