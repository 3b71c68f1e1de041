// SPDX-License-Identifier: MIT OR Apache-2.0
//! `POST /admin/resources/{resource}/_invalidate`: every entry of a resource.

use axum::http::StatusCode;

use super::super::problem::Problem;
use super::mode::AdminResource;

/// Makes every entry from before unreachable, in every daemon that shares them; answers when that is so.
pub(crate) async fn invalidate_all(AdminResource(listing): AdminResource) -> Result<StatusCode, Problem> {
    let space = &listing.space;
    let invalidated = space.invalidate_all("an operator asked for it").await;
    invalidated.map_err(|error| Problem::of(&error).in_resource(space.name()))?;
    Ok(StatusCode::NO_CONTENT)
}
