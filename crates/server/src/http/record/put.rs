// SPDX-License-Identifier: MIT OR Apache-2.0
//! `PUT` of a record: replaces it whole, or inserts it.

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_RANGE;
use axum::response::Response;
use throughline::{Change, Effect, Format, Target, Write};

use super::super::body;
use super::super::door::Shared;
use super::super::etag::Preconditions;
use super::super::prefer;
use super::super::problem::{Problem, ProblemKind};
use super::super::receipt::Accepted;
use super::super::record_path::RecordPath;
use super::super::session;
use super::super::stored;

/// Stores the body as the record and answers with what is stored.
pub(crate) async fn put(
    State(door): State<Shared>,
    path: RecordPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    if headers.contains_key(CONTENT_RANGE) {
        let detail = "`Content-Range`: a record is written whole";
        return Err(Problem::new(ProblemKind::InvalidHeader, detail));
    }
    let condition = Preconditions::of_write(&headers)?;
    let session = session::of(&headers)?;
    let value = match path.listing.about.format {
        Format::Json => body::read_json(&door, &headers, body).await?,
        Format::Raw => body::read(&door, &headers, body).await?,
    };
    let write =
        Write { target: Target::Key(path.key.clone()), change: Change::Put { value, flags: 0 }, condition };
    let space = &path.listing.space;
    match space.write(write).await.map_err(|error| path.problem(&error))? {
        Effect::Stored { key, record, created } => {
            let stored = stored::Stored { listing: &path.listing, key: &key, record, created };
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
        Effect::Refused(refusal) => Err(stored::refused(refusal).in_resource(space.name())),
        Effect::Deleted { .. } => unreachable!("a put does not delete"),
    }
}
