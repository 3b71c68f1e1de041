// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a client would like to be answered: `Prefer` of RFC 7240.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use throughline_wire::http::Prefer;

const PREFER: HeaderName = HeaderName::from_static("prefer");

/// Says which preference was followed.
pub(crate) const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// The preference to be sent no body.
pub(crate) const RETURN_MINIMAL: HeaderValue = HeaderValue::from_static("return=minimal");

/// Whether the client would rather have no body.
pub(crate) fn wants_minimal(headers: &HeaderMap) -> bool {
    of(headers).minimal
}

/// What the client prefers.
pub(crate) fn of(headers: &HeaderMap) -> Prefer {
    Prefer::parse(headers.get_all(PREFER).into_iter().map(HeaderValue::as_bytes))
}

#[cfg(test)]
mod tests {
    use super::{PREFER, wants_minimal};
    use axum::http::HeaderMap;

    #[test]
    fn the_preference_is_found_in_any_line() {
        let mut headers = HeaderMap::new();
        headers.append(PREFER, "respond-async".parse().unwrap());
        assert!(!wants_minimal(&headers));
        headers.append(PREFER, "return=minimal".parse().unwrap());
        assert!(wants_minimal(&headers));
    }
}
