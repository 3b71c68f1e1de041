// SPDX-License-Identifier: MIT OR Apache-2.0
//! Accepted writes: the answer 202 with a receipt, and `GET /receipts/{resource}/{number}`.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header::{ETAG, LOCATION, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use throughline::{Key, Listing, Position, Progress, Record, WriteReceipt};

use super::door::Shared;
use super::etag::etag;
use super::prefer::{self, PREFERENCE_APPLIED};
use super::problem::{Problem, ProblemKind};
use super::record_path;
use super::stored::Stored;

/// The longest time that a client is let wait, whatever it prefers.
const WAIT_S_MAX: u32 = 60;

/// A write that was accepted.
pub(crate) struct Accepted<'a> {
    pub(crate) listing: &'a Listing,
    /// The row's canonical key.
    pub(crate) key: &'a Key,
    /// What a reader sees from now on; `None` when it is removed.
    pub(crate) record: Option<Record>,
    pub(crate) receipt: &'a WriteReceipt,
}

impl Accepted<'_> {
    /// 202 with the receipt. If the client prefers to wait and the write is in the source by then, the answer of a write
    /// that was not put off.
    ///
    /// # Errors
    /// The source's, when it refused the write for good within that time; the write is a dead letter then.
    pub(crate) async fn answer(self, headers: &HeaderMap) -> Result<Response, Problem> {
        let (Some(behind), Some(position)) = (&self.listing.behind, self.receipt.position()) else {
            return Ok(StatusCode::ACCEPTED.into_response());
        };
        let wait_s = prefer::of(headers).wait_s.map(|seconds| seconds.min(WAIT_S_MAX));
        if let Some(seconds) = wait_s.filter(|seconds| *seconds > 0) {
            let limit = Duration::from_secs(seconds.into());
            match tokio::time::timeout(limit, behind.applied(position)).await {
                Ok(Ok(())) => return Ok(self.applied(headers, seconds)),
                Ok(Err(error)) => return Err(Problem::of(&error).in_resource(self.listing.space.name())),
                Err(_) => {}
            }
        }
        let told = told(self.listing, position, &behind.progress(position));
        let mut response = (StatusCode::ACCEPTED, Json(told)).into_response();
        let headers = response.headers_mut();
        headers.insert(LOCATION, location(self.listing, position));
        if let Some(record) = &self.record {
            headers.insert(ETAG, etag(record.version));
        }
        Ok(response)
    }

    fn applied(self, headers: &HeaderMap, seconds: u32) -> Response {
        let mut response = match self.record {
            // The source may have made something else of it; a read tells.
            Some(_) => Stored { listing: self.listing, key: self.key, record: None, created: false }
                .answer(prefer::wants_minimal(headers)),
            None => StatusCode::NO_CONTENT.into_response(),
        };
        if let Ok(value) = HeaderValue::from_str(&format!("wait={seconds}")) {
            response.headers_mut().append(PREFERENCE_APPLIED, value);
        }
        response
    }
}

/// Answers what has become of an accepted write.
pub(crate) async fn get(
    State(door): State<Shared>,
    Path((resource, number)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let listing = record_path::listing(&door, &resource)?;
    let unknown =
        || Problem::new(ProblemKind::NoSuchReceipt, "no write of this resource was given this number");
    let position = number.parse().map(Position).map_err(|_| unknown())?;
    let behind = listing.behind.as_ref().ok_or_else(unknown)?;
    let progress = behind.progress(position);
    if progress == Progress::Unknown {
        return Err(unknown());
    }
    let mut response = Json(told(&listing, position, &progress)).into_response();
    let seconds = match progress {
        Progress::Accepted => Some(1),
        Progress::Retrying { next_ms, .. } => Some(next_ms.div_ceil(1_000).max(1)),
        _ => None,
    };
    if let Some(seconds) = seconds {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    Ok(response)
}

fn location(listing: &Listing, position: Position) -> HeaderValue {
    let text = format!("/receipts/{}/{}", listing.space.name(), position.0);
    HeaderValue::from_str(&text).expect("a resource's name and a number are plain ASCII")
}

/// A receipt as JSON.
pub(crate) fn told(listing: &Listing, position: Position, progress: &Progress) -> Value {
    let mut told = json!({
        "resource": listing.space.name().as_str(),
        "receipt": position.0.to_string(),
        "state": state(progress),
    });
    match progress {
        Progress::Retrying { why, next_ms, attempts } => {
            told["why"] = json!(why);
            told["next_try_in_ms"] = json!(next_ms);
            told["attempts"] = json!(attempts);
        }
        Progress::Dead { why } => told["why"] = json!(why),
        Progress::Renewed(position) => told["renewed_as"] = json!(position.0.to_string()),
        _ => {}
    }
    told
}

/// The word for a state.
fn state(progress: &Progress) -> &'static str {
    match progress {
        Progress::Accepted => "accepted",
        Progress::Retrying { .. } => "retrying",
        Progress::Applied => "applied",
        Progress::Dead { .. } => "dead",
        Progress::Discarded => "discarded",
        Progress::Renewed(_) => "renewed",
        Progress::Settled => "settled",
        Progress::Unknown => "unknown",
    }
}
