// SPDX-License-Identifier: MIT OR Apache-2.0
//! Drains on a MySQL or MariaDB server; what they have in common with others' is in `remote/drain.rs`.

mod bulk;

use mysql_async::{Row, Value as Wire};
use throughline_core::{Applied, Error, ErrorKind, Result};

use super::cell::to_wire;
use super::client::{Role, Session};
use super::map::{Failure, statement_error};
use super::plan::Plan;
use super::transaction;
use super::worker::Work;
use super::writer::{Apply, Stop};
use crate::drain::runs::{Part, one_by_one, parts};
use crate::drain::{APPLY, denied, missing, outdated};
use crate::remote::drain::{BatchOrder, DrainJob, DrainSession, Fault, Pace, serve};
use crate::sql::{APPLIED, AppliedDialect, AppliedStatements, LaneRow, Value};

/// "no such table", and "unknown column".
pub(super) const NO_TABLE: u16 = 1146;
pub(super) const NO_COLUMN: u16 = 1054;

/// Carries out what waits for a connection.
#[derive(Debug)]
pub(super) struct DrainWork;

impl Work for DrainWork {
    type Job = DrainJob<Plan>;

    const ROLE: Role = Role::Writer;

    async fn run(
        &self,
        session: &mut Session,
        batch: Vec<Self::Job>,
    ) -> std::result::Result<(), Vec<Self::Job>> {
        let mut lost = Vec::new();
        for job in batch {
            lost.extend(serve(session, job).await.err());
        }
        if lost.is_empty() { Ok(()) } else { Err(lost) }
    }
}

impl DrainSession for Session {
    type Plan = Plan;

    async fn begin(&mut self) -> std::result::Result<(), Fault> {
        // Autocommit is off, so the first statement does.
        Ok(())
    }

    async fn lanes(&mut self, sql: &str, values: Vec<Value>) -> std::result::Result<Vec<LaneRow>, Fault> {
        let answer = self.run(sql, values.into_iter().map(to_wire).collect()).await;
        let rows = answer.map_err(|failure| self.own_fault(&failure))?.rows;
        rows.iter().map(lane_row).collect::<Option<_>>().ok_or_else(|| {
            let detail = format!("a row of `{APPLIED}` holds what this program never writes");
            Fault::of(Error::new(ErrorKind::Corrupt, APPLY, detail))
        })
    }

    async fn change(&mut self, sql: &str, values: Vec<Value>) -> std::result::Result<u64, Fault> {
        let answer = self.run(sql, values.into_iter().map(to_wire).collect()).await;
        answer.map(|answer| answer.met).map_err(|failure| self.own_fault(&failure))
    }

    async fn write(
        &mut self,
        order: &BatchOrder<Plan>,
        pace: Pace,
    ) -> std::result::Result<Vec<Applied>, Fault> {
        let (plan, steps) = (&*order.plan, &order.steps);
        let mut all = vec![Applied::Changed; steps.len()];
        let parts = match pace {
            Pace::Together if plan.writes_runs() => {
                parts(&plan.mapping, &steps.iter().map(|step| &step.step).collect::<Vec<_>>())
            }
            _ => one_by_one(steps.len()),
        };
        for part in parts {
            match part {
                Part::One(at) => {
                    let effect = Apply::new(self, plan).step(&steps[at].step).await;
                    let effect = effect.map_err(|stop| fault(Some(at), plan, stop))?;
                    let outcome = steps[at].accepted.outcome(&plan.mapping, &effect, plan.is_hidden);
                    all[at] = outcome.map_err(|error| fault(Some(at), plan, error.into()))?;
                }
                Part::Run(run) => {
                    let done = bulk::write(self, plan, steps, &run, &mut all).await;
                    done.map_err(|stop| fault(None, plan, stop))?;
                }
            }
        }
        Ok(all)
    }

    async fn commit(&mut self) -> Result<()> {
        transaction::commit(self, APPLIED).await
    }

    async fn roll_back(&mut self) {
        if self.is_open() {
            transaction::roll_back(self).await;
        }
    }

    async fn look(&mut self) -> std::result::Result<AppliedStatements, Fault> {
        let applied = AppliedStatements::new(AppliedDialect::Mysql, APPLIED);
        for sql in applied.try_rights() {
            if let Err(failure) = self.command(&sql).await {
                return Err(self.own_fault(&failure));
            }
        }
        self.roll_back().await;
        Ok(applied)
    }
}

impl Session {
    /// What a statement on `tl_applied` failed with.
    fn own_fault(&self, failure: &Failure) -> Fault {
        let error = match failure {
            Failure::Server { code: NO_TABLE, .. } => missing(&self.config().database),
            Failure::Server { code: NO_COLUMN, .. } => outdated(&self.config().database),
            failure if failure.is_denied() => denied(),
            failure => statement_error(APPLY, APPLIED, failure, &|_| false),
        };
        Fault { at: None, error, is_lost: failure.is_lost(), is_deadlock: failure.is_deadlock() }
    }
}

fn fault(at: Option<usize>, plan: &Plan, stop: Stop) -> Fault {
    let (is_lost, is_deadlock) = match &stop {
        Stop::Failed(failure) => (failure.is_lost(), failure.is_deadlock()),
        Stop::Refused(_) => (false, false),
    };
    Fault { at, error: stop.into_error(plan), is_lost, is_deadlock }
}

fn lane_row(row: &Row) -> Option<LaneRow> {
    let text = |place: usize| match row.as_ref(place)? {
        Wire::Bytes(bytes) => String::from_utf8(bytes.clone()).ok(),
        _ => None,
    };
    let number = |place: usize| match row.as_ref(place)? {
        Wire::Int(number) => Some(*number),
        _ => None,
    };
    Some(LaneRow {
        lane: text(0)?,
        journal: text(1)?,
        name: text(2),
        epoch: number(3)?,
        position: number(4)?,
    })
}
