// SPDX-License-Identifier: MIT OR Apache-2.0
//! Drains of an SQLite file: a batch is one transaction on the writing thread.
//!
//! Nothing stands between that thread and the file, so its writes are done one by one, in their order.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rusqlite::{Connection, Row};
use throughline_core::{
    Applied, BoxFuture, Claim, Drain, DrainBatch, Drained, Effect, Error, ErrorKind, Lane, Owner, Record,
    Result, Retry, Undrained, Write,
};
use tokio::sync::oneshot;

use super::apply::Step;
use super::client::{file_name, open_plainly, run};
use super::plan::Plan;
use super::table::SqliteTable;
use super::writer::{Job, Writer};
use super::{SqliteConfig, closed, map};
use crate::drain::{
    APPLY, Accepted, BATCH_MAX, CLAIM, Course, LOOK, RELEASE, check_claim, check_len, held, key_of, missing,
    outdated, taken, undrained,
};
use crate::sql::{
    APPLIED, AppliedDialect, AppliedStatements, LaneOwners, LaneRow, Value, create_applied, extend_applied,
};

/// Makes the table of applied writes, or brings it to the present version; whether that was needed. Running it again
/// changes nothing.
///
/// # Errors
/// [`ErrorKind::Unavailable`] when the file is not there, [`ErrorKind::Timeout`] when another program holds it.
pub fn install(config: &SqliteConfig) -> Result<bool> {
    let connection = open_plainly(config)?;
    let fails = |cause| map::error("make the table of applied writes", &file_name(&config.path), cause);
    let was_there = is_there(&connection).map_err(fails)?;
    connection.execute_batch(&create_applied(AppliedDialect::Sqlite)).map_err(fails)?;
    let is_extended = is_extended(&connection).map_err(fails)?;
    if !is_extended {
        connection.execute_batch(&extend_applied(AppliedDialect::Sqlite)).map_err(fails)?;
    }
    Ok(!was_there || !is_extended)
}

/// What [`install`] would run.
pub fn install_script() -> Vec<String> {
    vec![create_applied(AppliedDialect::Sqlite)]
}

pub(super) fn is_there(connection: &Connection) -> rusqlite::Result<bool> {
    let text = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1)";
    connection.query_row(text, [APPLIED], |row| row.get(0))
}

/// Whether the table has the columns of this version.
pub(super) fn is_extended(connection: &Connection) -> rusqlite::Result<bool> {
    let text = "SELECT EXISTS (SELECT 1 FROM pragma_table_info(?1) WHERE name = 'of_table')";
    connection.query_row(text, [APPLIED], |row| row.get(0))
}

pub(super) fn applied() -> AppliedStatements {
    AppliedStatements::new(AppliedDialect::Sqlite, APPLIED)
}

/// A batch, read.
pub(super) struct Batch {
    plan: Arc<Plan>,
    course: Course,
    steps: Vec<(Step, Accepted)>,
}

/// What the writing thread is asked to do.
pub(super) enum Errand {
    Apply {
        batch: Batch,
        reply: oneshot::Sender<std::result::Result<Drained, Undrained>>,
    },
    Claim {
        lanes: Vec<Lane>,
        owner: Owner,
        table: String,
        by_force: bool,
        reply: oneshot::Sender<Result<Claim>>,
    },
    Release {
        lanes: Vec<Lane>,
        owner: Owner,
        reply: oneshot::Sender<Result<()>>,
    },
    Look {
        reply: oneshot::Sender<Result<()>>,
    },
    Owners {
        reply: oneshot::Sender<Result<LaneOwners>>,
    },
}

impl fmt::Debug for Errand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Apply { .. } => "Apply",
            Self::Claim { .. } => "Claim",
            Self::Release { .. } => "Release",
            Self::Look { .. } => "Look",
            Self::Owners { .. } => "Owners",
        })
    }
}

impl Errand {
    pub(super) fn is_given_up(&self) -> bool {
        match self {
            Self::Apply { reply, .. } => reply.is_closed(),
            Self::Claim { reply, .. } => reply.is_closed(),
            Self::Release { reply, .. } => reply.is_closed(),
            Self::Look { reply } => reply.is_closed(),
            Self::Owners { reply } => reply.is_closed(),
        }
    }
}

impl SqliteTable {
    /// What applies accepted writes to it.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] when our own table is missing, with the remedy.
    pub async fn drain(self: &Arc<Self>) -> Result<Arc<dyn Drain>> {
        let drain = SqliteDrain(Arc::clone(self));
        drain.ask(LOOK, |reply| Errand::Look { reply }).await??;
        Ok(Arc::new(drain))
    }
}

/// Applies accepted writes to one table.
#[derive(Debug)]
struct SqliteDrain(Arc<SqliteTable>);

impl SqliteDrain {
    async fn ask<T>(
        &self,
        operation: &'static str,
        errand: impl FnOnce(oneshot::Sender<T>) -> Errand,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.0.shared.jobs.push(operation, Job::Drain(errand(reply)))?;
        answer.await.map_err(|_| closed(operation))
    }

    fn name(&self) -> &str {
        &self.0.table().name
    }

    fn step(&self, write: &Write) -> Result<(Step, Accepted)> {
        key_of(write, self.name())?;
        let step = self.0.plan.step(write)?;
        let accepted = Accepted::of(&self.0.plan.mapping, step.row.as_ref(), &step.condition);
        Ok((step, accepted))
    }

    fn read(&self, batch: &DrainBatch<'_>) -> std::result::Result<Batch, Undrained> {
        let count = batch.writes.len();
        check_len(count)?;
        self.0.refuse_if_altered(APPLY).map_err(|error| undrained(None, count, error))?;
        let step = |(at, write): (usize, &throughline_core::AcceptedWrite)| {
            self.step(&write.write).map_err(|error| undrained(Some(at), count, error))
        };
        let steps = batch.writes.iter().enumerate().map(step).collect::<std::result::Result<_, _>>()?;
        Ok(Batch { plan: Arc::clone(&self.0.plan), course: Course::of(batch), steps })
    }
}

impl Drain for SqliteDrain {
    fn batch_max(&self) -> usize {
        BATCH_MAX
    }

    fn check(&self, write: &Write) -> Result<Option<Record>> {
        self.step(write).map(|(_, accepted)| accepted.into_record())
    }

    fn claim<'a>(
        &'a self,
        lanes: &'a [Lane],
        owner: &'a Owner,
        by_force: bool,
    ) -> BoxFuture<'a, Result<Claim>> {
        Box::pin(async move {
            check_claim(CLAIM, lanes, owner)?;
            let (lanes, owner, table) = (lanes.to_vec(), owner.clone(), self.0.table().whole_name());
            self.ask(CLAIM, |reply| Errand::Claim { lanes, owner, table, by_force, reply }).await?
        })
    }

    fn release<'a>(&'a self, lanes: &'a [Lane], owner: &'a Owner) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            check_claim(RELEASE, lanes, owner)?;
            let (lanes, owner) = (lanes.to_vec(), owner.clone());
            self.ask(RELEASE, |reply| Errand::Release { lanes, owner, reply }).await?
        })
    }

    fn apply<'a>(&'a self, batch: DrainBatch<'a>) -> BoxFuture<'a, std::result::Result<Drained, Undrained>> {
        Box::pin(async move {
            let count = batch.writes.len();
            let batch = self.read(&batch)?;
            let asked = self.ask(APPLY, |reply| Errand::Apply { batch, reply }).await;
            asked.map_err(|error| undrained(None, count, error))?
        })
    }
}

/// Why a batch failed, and which of its writes did.
type Fault = (Option<usize>, Error);

impl Writer {
    pub(super) fn run_errand(&self, errand: Errand) {
        // Callers that left need no answer.
        match errand {
            Errand::Apply { batch, reply } => drop(reply.send(self.apply_batch(&batch))),
            Errand::Claim { lanes, owner, table, by_force, reply } => {
                drop(reply.send(self.claim(&lanes, &owner, &table, by_force)));
            }
            Errand::Release { lanes, owner, reply } => drop(reply.send(self.release(&lanes, &owner))),
            Errand::Look { reply } => {
                let _ = reply.send(self.look());
            }
            Errand::Owners { reply } => drop(reply.send(self.owners())),
        }
    }

    fn apply_batch(&self, batch: &Batch) -> std::result::Result<Drained, Undrained> {
        let outcome = self.attempt(batch);
        let ended = match &outcome {
            Ok(Drained::Done(_)) => self.commit(),
            // What went wrong is told; a transaction that cannot be rolled back ends with the next BEGIN's failure.
            _ => self.roll_back(),
        };
        self.held.release();
        let count = batch.steps.len();
        let drained = outcome.map_err(|(at, error)| undrained(at, count, error))?;
        ended.map_err(|error| undrained(None, count, error))?;
        Ok(drained)
    }

    /// Everything but the COMMIT.
    fn attempt(&self, batch: &Batch) -> std::result::Result<Drained, Fault> {
        let (plan, course) = (&*batch.plan, &batch.course);
        let fails = |cause| (None, plan.error(APPLY, cause));
        self.counters.transactions.fetch_add(1, Ordering::Relaxed);
        self.execute("BEGIN IMMEDIATE").map_err(fails)?;
        let (sql, values) = applied().advance(&course.lane, &course.owner, course.from, course.to);
        self.change(&sql, &values).map_err(|error| (None, error))?;
        if self.connection.changes() == 0 {
            let (sql, values) = applied().read(std::slice::from_ref(&course.lane));
            let rows = self.lane_rows(&sql, &values).map_err(|error| (None, error))?;
            return course.explained_by(rows.first()).ok_or_else(|| {
                let error = Error::new(ErrorKind::Timeout, APPLY, "the lane was changed meanwhile");
                (None, error.with_retry(Retry::Safe))
            });
        }
        let outbox_end = self.outbox_end().map_err(fails)?;
        let mut effects = Vec::with_capacity(batch.steps.len());
        let mut all: Vec<Applied> = Vec::with_capacity(batch.steps.len());
        for (at, (step, accepted)) in batch.steps.iter().enumerate() {
            let effect = plan.apply(&self.connection, step, &self.counters);
            let effect = effect.map_err(|error| (Some(at), error))?;
            if let Effect::Stored { key, .. } | Effect::Deleted { key } = &effect {
                self.held.hold(plan.table, key.clone());
            }
            let outcome = accepted.outcome(&plan.mapping, &effect, plan.is_hidden);
            all.push(outcome.map_err(|error| (Some(at), error))?);
            effects.push(effect);
        }
        if let Some(end) = outbox_end {
            self.take_own(plan, &effects, end).map_err(fails)?;
        }
        Ok(Drained::Done(all))
    }

    fn look(&self) -> Result<()> {
        let fails = |cause| map::error(LOOK, &self.file, cause);
        if !is_there(&self.connection).map_err(fails)? {
            return Err(missing(&self.file));
        }
        match is_extended(&self.connection).map_err(fails)? {
            true => Ok(()),
            false => Err(outdated(&self.file)),
        }
    }

    fn claim(&self, lanes: &[Lane], owner: &Owner, table: &str, by_force: bool) -> Result<Claim> {
        if lanes.is_empty() {
            return Ok(Claim::Held(Vec::new()));
        }
        let claim = self.execute("BEGIN IMMEDIATE").map_err(|cause| map::error(CLAIM, &self.file, cause));
        let claim = claim.and_then(|()| {
            let (sql, values) = applied().enter(lanes);
            self.change(&sql, &values)?;
            let (sql, values) = applied().read(lanes);
            if let Some(other) = taken(&self.lane_rows(&sql, &values)?, owner, by_force) {
                return Ok(Claim::Taken(other));
            }
            let (take, took) = applied().take(lanes, owner, table);
            self.change(&take, &took)?;
            held(lanes, &self.lane_rows(&sql, &values)?)
        });
        match &claim {
            Ok(Claim::Held(_)) => self.commit()?,
            _ => self.roll_back()?,
        }
        claim
    }

    fn release(&self, lanes: &[Lane], owner: &Owner) -> Result<()> {
        if lanes.is_empty() {
            return Ok(());
        }
        let (sql, values) = applied().give_up(lanes, owner);
        self.change(&sql, &values)
    }

    /// Runs a statement on `tl_applied`.
    fn change(&self, sql: &str, values: &[Value]) -> Result<()> {
        run(&self.connection, sql, values, |_| ()).map(drop).map_err(|cause| self.own_error(cause))
    }

    fn lane_rows(&self, sql: &str, values: &[Value]) -> Result<Vec<LaneRow>> {
        let mut rows = Vec::new();
        run(&self.connection, sql, values, |row| rows.push(lane_row(row)))
            .map_err(|cause| self.own_error(cause))?;
        rows.into_iter().collect::<rusqlite::Result<_>>().map_err(|_| {
            let detail = format!("a row of `{APPLIED}` holds what this program never writes");
            Error::new(ErrorKind::Corrupt, APPLY, detail)
        })
    }

    fn own_error(&self, cause: rusqlite::Error) -> Error {
        match is_there(&self.connection) {
            Ok(false) => missing(&self.file),
            _ => map::error(APPLY, &self.file, cause),
        }
    }
}

fn lane_row(row: &Row<'_>) -> rusqlite::Result<LaneRow> {
    Ok(LaneRow {
        lane: row.get(0)?,
        journal: row.get(1)?,
        name: row.get(2)?,
        epoch: row.get(3)?,
        position: row.get(4)?,
    })
}
