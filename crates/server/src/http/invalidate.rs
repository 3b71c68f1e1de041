// SPDX-License-Identifier: MIT OR Apache-2.0
//! `POST /v1/{resource}/{key}/_invalidate`: drops the cached entry; the record stays as it is.

use axum::extract::State;
use axum::http::StatusCode;

use super::door::Shared;
use super::problem::Problem;
use super::record_path::RecordPath;

/// Drops the entry, confirmed by the cache.
pub(crate) async fn invalidate(State(_): State<Shared>, path: RecordPath) -> Result<StatusCode, Problem> {
    let invalidated = path.listing.space.invalidate(&path.key).await;
    invalidated.map_err(|error| path.problem(&error))?;
    Ok(StatusCode::NO_CONTENT)
}
