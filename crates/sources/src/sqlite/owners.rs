// SPDX-License-Identifier: MIT OR Apache-2.0
//! Looks whose lanes of accepted writes are in an SQLite file.

use rusqlite::Row;
use throughline_core::{Lane, Owner, Result};
use tokio::sync::oneshot;

use super::client::run;
use super::drain::{Errand, applied, is_extended, is_there};
use super::writer::{Job, Writer};
use super::{SqliteSource, closed, map};
use crate::drain::{OWNERS, RELEASE, check_claim};
use crate::sql::{LaneOwners, OwnedLane};

impl SqliteSource {
    /// Who owns lanes of accepted writes in the file.
    ///
    /// # Errors
    /// Those of any statement; none where there is no table of them.
    pub async fn lane_owners(&self) -> Result<LaneOwners> {
        self.ask(OWNERS, |reply| Errand::Owners { reply }).await?
    }

    /// Gives up those of `lanes` that `owner` has.
    ///
    /// # Errors
    /// Those of any statement; giving them up again is always safe.
    pub async fn release_lanes(&self, lanes: &[Lane], owner: &Owner) -> Result<()> {
        check_claim(RELEASE, lanes, owner)?;
        let (lanes, owner) = (lanes.to_vec(), owner.clone());
        self.ask(RELEASE, |reply| Errand::Release { lanes, owner, reply }).await?
    }

    async fn ask<T>(
        &self,
        operation: &'static str,
        errand: impl FnOnce(oneshot::Sender<T>) -> Errand,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.shared.jobs.push(operation, Job::Drain(errand(reply)))?;
        answer.await.map_err(|_| closed(operation))
    }
}

impl Writer {
    pub(super) fn owners(&self) -> Result<LaneOwners> {
        let fails = |cause| map::error(OWNERS, &self.file, cause);
        if !is_there(&self.connection).map_err(fails)? {
            return Ok(LaneOwners::Known(Vec::new()));
        }
        let sql = applied().owned(is_extended(&self.connection).map_err(fails)?);
        let mut owned = Vec::new();
        run(&self.connection, &sql, &[], |row| owned.extend(owned_lane(row))).map_err(fails)?;
        Ok(LaneOwners::Known(owned))
    }
}

fn owned_lane(row: &Row<'_>) -> Option<OwnedLane> {
    let text = |place: usize| row.get::<_, Option<String>>(place).ok().flatten();
    OwnedLane::of_row(text(0), text(1), text(2), text(3))
}
