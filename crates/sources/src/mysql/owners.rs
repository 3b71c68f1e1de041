// SPDX-License-Identifier: MIT OR Apache-2.0
//! Looks whose lanes are on a MySQL or MariaDB server; what is common is in `remote/owners.rs`.

use mysql_async::Row;

use super::client::{Role, Session};
use super::drain::{NO_COLUMN, NO_TABLE};
use super::map::{Failure, statement_error};
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

    async fn run(
        &self,
        session: &mut Session,
        jobs: Vec<OwnersJob>,
    ) -> std::result::Result<(), Vec<OwnersJob>> {
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

async fn owners(session: &mut Session) -> std::result::Result<LaneOwners, Failure> {
    let applied = AppliedStatements::new(AppliedDialect::Mysql, APPLIED);
    let mut answer = session.command(&applied.owned(true)).await;
    if matches!(answer, Err(Failure::Server { code: NO_COLUMN, .. })) {
        answer = session.command(&applied.owned(false)).await;
    }
    match answer {
        Ok(answer) => Ok(LaneOwners::Known(answer.rows.iter().filter_map(owned_lane).collect())),
        Err(Failure::Server { code: NO_TABLE, .. }) => Ok(LaneOwners::Known(Vec::new())),
        // Also what is told of a missing table to an account without a right on the whole database.
        Err(failure) if failure.is_denied() => Ok(LaneOwners::Denied),
        Err(failure) => Err(failure),
    }
}

/// Spells the database in the tables' names as `database` does. They are of this database, but where a server does not tell
/// upper from lower case, each daemon's URL spells it in its own way.
pub(super) fn respell(owners: &mut LaneOwners, database: &str) {
    let LaneOwners::Known(owned) = owners else { return };
    let folded = database.to_lowercase();
    for table in owned.iter_mut().filter_map(|lane| lane.table.as_mut()) {
        let end = table.match_indices('.').map(|(at, _)| at).find(|at| table[..*at].to_lowercase() == folded);
        if let Some(end) = end {
            table.replace_range(..end, database);
        }
    }
}

fn owned_lane(row: &Row) -> Option<OwnedLane> {
    let text = |place: usize| row.get_opt::<String, _>(place)?.ok();
    OwnedLane::of_row(text(0), text(1), text(2), text(3))
}
