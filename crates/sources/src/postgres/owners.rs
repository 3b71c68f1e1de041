// SPDX-License-Identifier: MIT OR Apache-2.0
//! Looks whose lanes are on a PostgreSQL server; what is common is in `remote/owners.rs`.

use tokio_postgres::Row;

use super::client::{Role, Session};
use super::drain::{DENIED, NO_COLUMN, SCHEMAS, UNDEFINED};
use super::map::{Complaint, Failure, statement_error};
use super::statement::quoted;
use super::worker::Work;
use crate::drain::OWNERS;
use crate::remote::owners::OwnersJob;
use crate::sql::{APPLIED, AppliedDialect, AppliedStatements, LaneOwners, OwnedLane};

/// Answers looks.
#[derive(Debug)]
pub(super) struct OwnersWork;

impl Work for OwnersWork {
    type Job = OwnersJob;

    const ROLE: Role = Role::Catalogue;
    const DEPTH: usize = 1;

    async fn run(&self, session: &Session, jobs: Vec<OwnersJob>) -> std::result::Result<(), Vec<OwnersJob>> {
        let mut lost = Vec::new();
        for job in jobs {
            match owners(session).await {
                Err(failure) if failure.is_lost() => lost.push(job),
                outcome => job.answer(
                    outcome.map_err(|failure| statement_error(OWNERS, APPLIED, &failure, &|_| false)),
                ),
            }
        }
        if lost.is_empty() { Ok(()) } else { Err(lost) }
    }
}

async fn owners(session: &Session) -> std::result::Result<LaneOwners, Failure> {
    let mut owned = Vec::new();
    let (mut is_denied, mut is_read) = (false, false);
    // Whichever of several tables an owner uses.
    for schema in session.run(SCHEMAS, &[]).await? {
        let schema: String = schema.try_get(0).unwrap_or_default();
        let table = format!("{}.{APPLIED}", quoted(&schema));
        let applied = AppliedStatements::new(AppliedDialect::Postgres, table);
        let mut rows = session.run(&applied.owned(true), &[]).await;
        if is_complaint(&rows, NO_COLUMN) {
            rows = session.run(&applied.owned(false), &[]).await;
        }
        match rows {
            Ok(rows) => {
                is_read = true;
                owned.extend(rows.iter().filter_map(owned_lane));
            }
            // Dropped since we looked.
            failed if is_complaint(&failed, UNDEFINED) => {}
            // Anybody may make one in a schema of his own, which must not blind us to the others.
            failed if is_complaint(&failed, DENIED) => is_denied = true,
            Err(failure) => return Err(failure),
        }
    }
    if is_denied && !is_read {
        return Ok(LaneOwners::Denied);
    }
    Ok(LaneOwners::Known(owned))
}

fn is_complaint<T>(outcome: &std::result::Result<T, Failure>, wanted: &str) -> bool {
    matches!(outcome, Err(Failure::Server(Complaint { code, .. })) if code == wanted)
}

fn owned_lane(row: &Row) -> Option<OwnedLane> {
    let text = |place: usize| row.try_get::<_, Option<String>>(place).ok().flatten();
    OwnedLane::of_row(text(0), text(1), text(2), text(3))
}
