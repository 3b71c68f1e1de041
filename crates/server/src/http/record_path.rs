// SPDX-License-Identifier: MIT OR Apache-2.0
//! The path of a record, and its key.
//!
//! The path segment, as it is on the wire, is the key's text: parts joined by `:`, each percent-encoded by
//! itself. So a path is made the way in which every URL is made, `parts.map(encodeURIComponent).join(":")`,
//! and nothing is ever decoded twice: `a%3Ab` is one part with a colon, `a:b` is two parts, `a%253Ab` is one
//! part that holds a percent sign, `a%2Fb` one that holds a slash. What a URL must encode and a key's text
//! need not (`/`, `?`, quotes, letters beyond ASCII) is undone by the key's own parser.

use axum::extract::FromRequestParts;
use axum::http::HeaderValue;
use axum::http::request::Parts;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use throughline::{Error, Key, Listing};

use super::door::Shared;
use super::problem::{Problem, ProblemKind};

/// What may stand in a key's text and not in a path segment. A `%` is not here: the text is encoded already.
const ENCODED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// How many names a problem lists at most.
const NAMES_MAX: usize = 50;

/// The resource that a path names.
pub(crate) struct ResourcePath {
    pub(crate) listing: Listing,
}

/// The record that a path names.
pub(crate) struct RecordPath {
    pub(crate) listing: Listing,
    pub(crate) key: Key,
}

impl ResourcePath {
    /// What `error` means for a client of this resource.
    pub(crate) fn problem(&self, error: &Error) -> Problem {
        Problem::of(error).in_resource(self.listing.space.name())
    }
}

impl RecordPath {
    /// The record of `key_text`, a path segment as it is on the wire.
    pub(crate) fn new(listing: Listing, key_text: &str) -> Result<Self, Problem> {
        match Key::parse(key_text) {
            Ok(key) => Ok(Self { listing, key }),
            Err(error) => Err(Problem::of(&error).in_resource(listing.space.name())),
        }
    }

    /// What `error` means for a client of this resource.
    pub(crate) fn problem(&self, error: &Error) -> Problem {
        Problem::of(error).in_resource(self.listing.space.name())
    }
}

impl FromRequestParts<Shared> for ResourcePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, door: &Shared) -> Result<Self, Problem> {
        let listing = listing(door, segment(parts, 2))?;
        Ok(Self { listing })
    }
}

impl FromRequestParts<Shared> for RecordPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, door: &Shared) -> Result<Self, Problem> {
        let listing = listing(door, segment(parts, 2))?;
        Self::new(listing, segment(parts, 3))
    }
}

/// The path of a record, for `Location` and `Content-Location`.
pub(crate) fn location(listing: &Listing, key: &Key) -> HeaderValue {
    let text = format!("/v1/{}/{}", listing.space.name(), key_segment(key));
    HeaderValue::from_str(&text).expect("the segment is plain ASCII")
}

/// A key as a path segment; reading it back gives the same key.
pub fn key_segment(key: &Key) -> String {
    match key.as_str() {
        // A path is shortened at these, even by clients that encode nothing else.
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        text => utf8_percent_encode(text, ENCODED).to_string(),
    }
}

/// Segment `place` of the path, as it is on the wire; the text before the first `/` is segment 0.
fn segment(parts: &Parts, place: usize) -> &str {
    parts.uri.path().split('/').nth(place).unwrap_or_default()
}

/// The resource that a path segment names.
pub(crate) fn listing(door: &Shared, segment: &str) -> Result<Listing, Problem> {
    let name = percent_decode_str(segment).decode_utf8_lossy();
    let throughline = &door.throughline;
    throughline.listing(&name).cloned().ok_or_else(|| {
        let listings = throughline.listings();
        let names = listings.iter().take(NAMES_MAX);
        let names: Vec<_> = names.map(|listing| listing.space.name().as_str()).collect();
        let more = if listings.len() > NAMES_MAX { ", …" } else { "" };
        let detail = format!("there are: {}{more}", names.join(", "));
        Problem::new(ProblemKind::UnknownResource, detail)
    })
}

#[cfg(test)]
mod tests {
    use super::key_segment;
    use throughline::Key;

    fn parts(key: &Key) -> Vec<String> {
        key.as_str().split(':').map(str::to_owned).collect()
    }

    #[test]
    fn a_key_survives_its_path_segment() {
        let hostile = [
            "1' OR 1=1",
            "a/b",
            "../../etc/passwd",
            "..",
            ".",
            "",
            "ä/ö?ü#",
            "a:b",
            "100%",
            "%3A",
            "a\0b",
            "{}[]\\^`|",
            "<script>",
            "😀",
        ];
        for text in hostile {
            let key = Key::from_parts([text.as_bytes(), b"en"]).unwrap();
            let segment = key_segment(&key);
            assert!(segment.is_ascii() && !segment.contains(['/', '?', '#', ' ', '"']), "{segment}");
            assert_eq!(Key::parse(&segment).unwrap(), key, "{segment}");
            let alone = Key::from_parts([text.as_bytes()]).unwrap();
            assert_eq!(Key::parse(&key_segment(&alone)).unwrap(), alone);
        }
    }

    #[test]
    fn a_colon_that_is_encoded_belongs_to_its_part() {
        assert_eq!(parts(&Key::parse("a%3Ab").unwrap()).len(), 1);
        assert_eq!(parts(&Key::parse("a:b").unwrap()).len(), 2);
        assert_eq!(Key::parse("a%253Ab").unwrap(), Key::from_parts([b"a%3Ab".as_slice()]).unwrap());
    }
}
