// SPDX-License-Identifier: MIT OR Apache-2.0
//! How the cache took part in an answer: `Cache-Status` of RFC 9211.

use axum::http::{HeaderName, HeaderValue};
use throughline::{Bypass, Mode, Read, Served};

/// The header's name.
pub(crate) const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// What the header says when `only-if-cached` found nothing.
pub(crate) const NOT_CACHED: HeaderValue = HeaderValue::from_static("throughline; detail=\"only-if-cached\"");

/// What the header says about `read`, in a resource of this mode.
pub(crate) fn cache_status(read: &Read, mode: Mode) -> HeaderValue {
    let text = match read.served {
        Served::Hit => format!("throughline; hit; ttl={}", read.ttl_left_ms() / 1_000),
        Served::Miss { stored: true } => "throughline; fwd=uri-miss; stored".to_owned(),
        Served::Miss { stored: false } => "throughline; fwd=uri-miss".to_owned(),
        Served::Bypass(Bypass::Asked) => "throughline; fwd=request".to_owned(),
        Served::Bypass(why) => format!("throughline; fwd=bypass; detail=\"{}\"", reason(why, mode)),
    };
    HeaderValue::from_str(&text).expect("letters, digits and quotes are a header value")
}

fn reason(why: Bypass, mode: Mode) -> &'static str {
    match why {
        Bypass::NoCache => "no cache",
        Bypass::Mode if mode == Mode::Shadow => "mode shadow",
        Bypass::Mode => "mode source",
        Bypass::Asked => "asked",
        Bypass::Key => "key not canonical",
        Bypass::Owed => "invalidation owed",
        Bypass::CacheError => "cache error",
        Bypass::Busy => "being loaded",
        Bypass::Marked => "being written",
        Bypass::Refused => "no lease",
        Bypass::Fenced => "cache server fenced",
        Bypass::ControlLost => "control tables do not answer",
        Bypass::Foreign => "foreign entry",
        Bypass::Old => "old entry",
    }
}
