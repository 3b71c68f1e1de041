// SPDX-License-Identifier: MIT OR Apache-2.0
//! `POST /admin/resources/{resource}/_invalidate`: every entry of a resource; `POST /admin/servers/{server}/_invalidate`:
//! every entry on a cache server.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use throughline::ErrorKind;

use super::super::door::Shared;
use super::super::problem::{Problem, ProblemKind};
use super::mode::AdminResource;

/// Makes every entry from before unreachable, in every daemon that shares them; answers when that is so.
pub(crate) async fn invalidate_all(AdminResource(listing): AdminResource) -> Result<StatusCode, Problem> {
    let space = &listing.space;
    let invalidated = space.invalidate_all("an operator asked for it").await;
    invalidated.map_err(|error| Problem::of(&error).in_resource(space.name()))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes every entry on a cache server unreachable, in every daemon; answers when that is so.
pub(crate) async fn invalidate_server(
    State(door): State<Shared>,
    Path(server): Path<String>,
) -> Result<StatusCode, Problem> {
    match door.throughline.invalidate_server(&server).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(error) if error.kind() == ErrorKind::Configuration => {
            Err(Problem::new(ProblemKind::UnknownServer, error.detail().to_owned()))
        }
        Err(error) => Err(Problem::of(&error)),
    }
}
