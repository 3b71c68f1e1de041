// SPDX-License-Identifier: MIT OR Apache-2.0
//! `POST /v1/{resource}`: a new record, whose key the body holds, the database makes, or is a UUIDv7.

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{IF_MATCH, IF_NONE_MATCH};
use axum::response::Response;
use throughline::{Change, Condition, Effect, Format, Refusal, Target, Write};

use super::body;
use super::door::Shared;
use super::prefer;
use super::problem::{Problem, ProblemKind};
use super::receipt::Accepted;
use super::record_path::ResourcePath;
use super::session;
use super::stored;

/// Stores the body as a new record and says where it is.
pub(crate) async fn create(
    State(door): State<Shared>,
    path: ResourcePath,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    if headers.contains_key(IF_MATCH) || headers.contains_key(IF_NONE_MATCH) {
        let detail = "`If-Match` and `If-None-Match`: what is created has no version yet";
        return Err(Problem::new(ProblemKind::InvalidHeader, detail));
    }
    let session = session::of(&headers)?;
    let value = match path.listing.about.format {
        Format::Json => body::read_json(&door, &headers, body).await?,
        Format::Raw => body::read(&door, &headers, body).await?,
    };
    let write =
        Write { target: Target::New, change: Change::Put { value, flags: 0 }, condition: Condition::Absent };
    let space = &path.listing.space;
    match space.write(write).await.map_err(|error| path.problem(&error))? {
        Effect::Stored { key, record, .. } => {
            let stored = stored::Stored { listing: &path.listing, key: &key, record, created: true };
            let mut response = stored.answer(prefer::wants_minimal(&headers));
            session::carry(session, space, &key, &mut response);
            Ok(response)
        }
        Effect::Accepted { key, record, receipt } => {
            let accepted = Accepted { listing: &path.listing, key: &key, record, receipt: &receipt };
            let mut response = accepted.answer(&headers).await?;
            session::carry(session, space, &key, &mut response);
            Ok(response)
        }
        Effect::Refused(Refusal::Exists) => {
            let detail = "the key in the body is taken";
            Err(Problem::new(ProblemKind::AlreadyExists, detail).in_resource(space.name()))
        }
        Effect::Refused(refusal) => Err(stored::refused(refusal).in_resource(space.name())),
        Effect::Deleted { .. } => unreachable!("a put does not delete"),
    }
}
