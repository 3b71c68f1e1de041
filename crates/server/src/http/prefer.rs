// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a client would like to be answered: `Prefer` of RFC 7240.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

const PREFER: HeaderName = HeaderName::from_static("prefer");

/// Says which preference was followed.
pub(crate) const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// The preference to be sent no body.
pub(crate) const RETURN_MINIMAL: HeaderValue = HeaderValue::from_static("return=minimal");

/// Whether the client would rather have no body. Other preferences are ignored, as the RFC says.
pub(crate) fn wants_minimal(headers: &HeaderMap) -> bool {
    let values = headers.get_all(PREFER).into_iter();
    let mut preferences = values.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
    preferences.any(|preference| {
        let preference = preference.split(';').next().unwrap_or_default();
        let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
        name.trim().eq_ignore_ascii_case("return")
            && value.trim().trim_matches('"').eq_ignore_ascii_case("minimal")
    })
}

#[cfg(test)]
mod tests {
    use super::{PREFER, wants_minimal};
    use axum::http::HeaderMap;

    #[test]
    fn the_preference_is_found_among_others() {
        let wants = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(PREFER, text.parse().unwrap());
            wants_minimal(&headers)
        };
        assert!(wants("respond-async, wait=5, Return=\"minimal\"; foo"));
        assert!(!wants("return=representation") && !wants("minimal"));
    }
}
