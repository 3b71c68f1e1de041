// SPDX-License-Identifier: MIT OR Apache-2.0
//! `DELETE` of a record.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use throughline::{Change, Condition, Effect, Refusal, Target, Write};

use super::super::door::Shared;
use super::super::etag::Preconditions;
use super::super::problem::{Problem, ProblemKind};
use super::super::receipt::Accepted;
use super::super::record_path::RecordPath;
use super::super::session;
use super::super::stored;
use super::get::not_found;

/// Removes the record from the source.
pub(crate) async fn delete(
    State(_): State<Shared>,
    path: RecordPath,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let condition = Preconditions::of_write(&headers)?;
    let session = session::of(&headers)?;
    if condition == Condition::Absent {
        let detail = "`If-None-Match: *` would delete what is not there";
        return Err(Problem::new(ProblemKind::InvalidHeader, detail));
    }
    let conditional = condition != Condition::Always;
    let write = Write { target: Target::Key(path.key.clone()), change: Change::Delete, condition };
    let space = &path.listing.space;
    match space.write(write).await.map_err(|error| path.problem(&error))? {
        Effect::Deleted { key } => {
            let mut response = StatusCode::NO_CONTENT.into_response();
            session::carry(session, space, &key, &mut response);
            Ok(response)
        }
        Effect::Accepted { key, record, receipt } => {
            let accepted = Accepted { listing: &path.listing, key: &key, record, receipt: &receipt };
            let mut response = accepted.answer(&headers).await?;
            session::carry(session, space, &key, &mut response);
            Ok(response)
        }
        Effect::Refused(Refusal::Absent) if !conditional => Err(not_found(&path)),
        Effect::Refused(refusal) => Err(stored::refused(refusal).in_resource(space.name())),
        Effect::Stored { .. } => unreachable!("a delete does not store"),
    }
}
