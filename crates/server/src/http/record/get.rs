// SPDX-License-Identifier: MIT OR Apache-2.0
//! `GET` and `HEAD` of a record: its bytes as they are, as fresh as the request wants them.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{AGE, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use throughline::{Format, Mode, Read, Record, Session};

use super::super::cache_control::Freshness;
use super::super::cache_status::{CACHE_STATUS, NOT_CACHED, cache_status};
use super::super::door::Shared;
use super::super::etag::{Preconditions, etag};
use super::super::problem::{Problem, ProblemKind};
use super::super::record_path::RecordPath;
use super::super::session;

/// Other caches may keep an answer only for its own client and must ask before they use it: they would not
/// hear of a write, and our promise would end with them.
const CACHEABILITY: HeaderValue = HeaderValue::from_static("private, no-cache");

/// Answers with the record.
pub(crate) async fn get(
    State(_): State<Shared>,
    path: RecordPath,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let freshness = Freshness::of(&headers)?;
    let preconditions = Preconditions::of(&headers)?;
    let session = session::of(&headers)?;
    let read = fresh_enough(&path, freshness, &session).await?;
    let mode = path.listing.space.mode();
    let mut response = match read.record() {
        Some(record) => found(&path, &preconditions, record),
        None if preconditions.fail(None) => precondition_failed(&path, None),
        None => not_found(&path).into_response(),
    };
    describe(&mut response, &read, mode);
    Ok(response)
}

/// Reads by the resource's strategy, unless the request asks for the source or for the cache alone.
async fn fresh_enough(path: &RecordPath, freshness: Freshness, session: &Session) -> Result<Read, Problem> {
    let (space, key) = (&path.listing.space, &path.key);
    let problem = |error| path.problem(&error);
    if freshness.cached {
        let cached = space.get_cached(key).await.map_err(problem)?;
        let usable = |read: &Read| !freshness.refuses(read.age_ms()) && !session.must_ask(space, key);
        return cached.filter(usable).ok_or_else(|| {
            let detail = "the request said `only-if-cached`";
            Problem::new(ProblemKind::NotCached, detail)
                .in_resource(space.name())
                .with_header(CACHE_STATUS, NOT_CACHED)
        });
    }
    if freshness.source {
        return space.get_fresh(key).await.map_err(problem);
    }
    let read = session.get(space, key).await.map_err(problem)?;
    if read.served == throughline::Served::Hit && freshness.refuses(read.age_ms()) {
        return space.get_fresh(key).await.map_err(problem);
    }
    Ok(read)
}

fn found(path: &RecordPath, preconditions: &Preconditions<'_>, record: &Record) -> Response {
    if preconditions.fail(Some(record.version)) {
        return precondition_failed(path, Some(record));
    }
    let mut response = if preconditions.know(record.version) {
        // The length is that of the answer that is not sent; without it, 0 would be said.
        let length = [(CONTENT_LENGTH, HeaderValue::from(record.value.len()))];
        (StatusCode::NOT_MODIFIED, length).into_response()
    } else {
        let media_type = [(CONTENT_TYPE, media_type(path.listing.about.format))];
        (media_type, Body::from(record.value.clone())).into_response()
    };
    response.headers_mut().insert(ETAG, etag(record.version));
    response
}

fn precondition_failed(path: &RecordPath, record: Option<&Record>) -> Response {
    let detail = "the record has none of the versions of `If-Match`";
    let problem =
        Problem::new(ProblemKind::PreconditionFailed, detail).in_resource(path.listing.space.name());
    match record {
        Some(record) => problem.with_header(ETAG, etag(record.version)).into_response(),
        None => problem.into_response(),
    }
}

/// The problem of a key that the source does not have.
pub(super) fn not_found(path: &RecordPath) -> Problem {
    Problem::new(ProblemKind::NotFound, "the source has no record with this key")
        .in_resource(path.listing.space.name())
}

/// What a record's bytes are.
pub(crate) fn media_type(format: Format) -> HeaderValue {
    HeaderValue::from_static(match format {
        Format::Json => "application/json",
        Format::Raw => "application/octet-stream",
    })
}

/// Says where the answer comes from.
fn describe(response: &mut Response, read: &Read, mode: Mode) {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, CACHEABILITY);
    headers.insert(CACHE_STATUS, cache_status(read, mode));
    if read.served == throughline::Served::Hit {
        headers.insert(AGE, HeaderValue::from(read.age_ms() / 1_000));
    }
}
