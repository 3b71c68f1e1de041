// SPDX-License-Identifier: MIT OR Apache-2.0
//! The answers to writes: what is stored, or why nothing was written.

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LOCATION, CONTENT_TYPE, ETAG, LOCATION};
use axum::response::{IntoResponse as _, Response};
use throughline::{Key, Listing, Record, Refusal};

use super::etag::etag;
use super::prefer::{PREFERENCE_APPLIED, RETURN_MINIMAL};
use super::problem::{Problem, ProblemKind};
use super::record::media_type;
use super::record_path::location;

/// A record that was stored.
pub(crate) struct Stored<'a> {
    pub(crate) listing: &'a Listing,
    /// The row's canonical key.
    pub(crate) key: &'a Key,
    /// What a reader will see, if the source could read it back.
    pub(crate) record: Option<Record>,
    /// Whether it was inserted rather than replaced.
    pub(crate) created: bool,
}

impl Stored<'_> {
    /// The answer, without a body if that is what the client prefers or if none is known.
    pub(crate) fn answer(self, minimal: bool) -> Response {
        let body = self.record.as_ref().filter(|_| !minimal);
        let status = match (self.created, body) {
            (true, _) => StatusCode::CREATED,
            (false, Some(_)) => StatusCode::OK,
            (false, None) => StatusCode::NO_CONTENT,
        };
        let mut response = match body {
            Some(record) => Body::from(record.value.clone()).into_response(),
            None => Body::empty().into_response(),
        };
        *response.status_mut() = status;
        let path = location(self.listing, self.key);
        let headers = response.headers_mut();
        if body.is_some() {
            headers.insert(CONTENT_TYPE, media_type(self.listing.about.format));
            headers.insert(CONTENT_LOCATION, path.clone());
        }
        if self.created {
            headers.insert(LOCATION, path);
        }
        if minimal {
            headers.insert(PREFERENCE_APPLIED, RETURN_MINIMAL);
        }
        if let Some(record) = &self.record {
            headers.insert(ETAG, etag(record.version));
        }
        response
    }
}

/// The problem of a write whose condition did not hold; nothing was written.
pub(crate) fn refused(refusal: Refusal) -> Problem {
    let failed = |detail: &str| Problem::new(ProblemKind::PreconditionFailed, detail);
    match refusal {
        Refusal::Exists => failed("there is such a record already"),
        Refusal::Absent => failed("there is no such record"),
        Refusal::Conflict(version) => {
            failed("the record has another version, the one of `ETag`").with_header(ETAG, etag(version))
        }
    }
}
