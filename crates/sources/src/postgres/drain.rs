// SPDX-License-Identifier: MIT OR Apache-2.0
//! Drains on a PostgreSQL server; what they have in common with others' is in `remote/drain.rs`.
//!
//! A batch takes its keys' locks as every write of ours does (`coupling`), at its end and in their order.

mod bulk;

use std::collections::BTreeSet;

use throughline_core::{Applied, Effect, Error, ErrorKind, Result};
use tokio_postgres::Row;

use super::cell::{Wire, to_wire};
use super::client::{Role, Session};
use super::coupling::{LOCK, array};
use super::map::{Complaint, Failure, statement_error};
use super::plan::Plan;
use super::statement::{BEGIN, quoted};
use super::transaction;
use super::worker::Work;
use super::writer::{Apply, Stop};
use crate::drain::runs::{Part, one_by_one, parts};
use crate::drain::{APPLY, LOOK, denied, missing, outdated};
use crate::remote::drain::{BatchOrder, DrainJob, DrainSession, Fault, Pace, serve};
use crate::sql::{APPLIED, AppliedDialect, AppliedStatements, LaneRow, Value};

/// Where the table is, whatever the account's `search_path` is.
pub(super) const SCHEMAS: &str = "SELECT n.nspname::text FROM pg_catalog.pg_class c \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relname = 'tl_applied' AND c.relkind = 'r' ORDER BY 1";

/// "insufficient privilege", "undefined table" and "undefined column".
pub(super) const DENIED: &str = "42501";
pub(super) const UNDEFINED: &str = "42P01";
pub(super) const NO_COLUMN: &str = "42703";

/// Carries out what waits for a connection.
#[derive(Debug)]
pub(super) struct DrainWork;

impl Work for DrainWork {
    type Job = DrainJob<Plan>;

    const ROLE: Role = Role::Writer;
    /// A transaction has its connection for itself.
    const DEPTH: usize = 1;

    async fn run(&self, session: &Session, jobs: Vec<Self::Job>) -> std::result::Result<(), Vec<Self::Job>> {
        let (mut session, mut lost) = (session, Vec::new());
        for job in jobs {
            lost.extend(serve(&mut session, job).await.err());
        }
        if lost.is_empty() { Ok(()) } else { Err(lost) }
    }
}

impl DrainSession for &Session {
    type Plan = Plan;

    async fn begin(&mut self) -> std::result::Result<(), Fault> {
        self.count_round_trip();
        self.command(BEGIN).await.map_err(|failure| self.own_fault(&failure))
    }

    async fn lanes(&mut self, sql: &str, values: Vec<Value>) -> std::result::Result<Vec<LaneRow>, Fault> {
        let rows = self.rows(sql, &values).await?;
        rows.iter().map(lane_row).collect::<Option<_>>().ok_or_else(|| {
            let detail = format!("a row of `{APPLIED}` holds what this program never writes");
            Fault::of(Error::new(ErrorKind::Corrupt, APPLY, detail))
        })
    }

    async fn change(&mut self, sql: &str, values: Vec<Value>) -> std::result::Result<u64, Fault> {
        self.rows(sql, &values).await.map(|rows| rows.len() as u64)
    }

    async fn write(
        &mut self,
        order: &BatchOrder<Plan>,
        pace: Pace,
    ) -> std::result::Result<Vec<Applied>, Fault> {
        let (plan, steps) = (&*order.plan, &order.steps);
        let mut all = vec![Applied::Changed; steps.len()];
        let mut numbers = BTreeSet::new();
        let parts = match pace {
            Pace::Together if plan.writes_runs() => {
                parts(&plan.mapping, &steps.iter().map(|step| &step.step).collect::<Vec<_>>())
            }
            _ => one_by_one(steps.len()),
        };
        for part in parts {
            match part {
                Part::One(at) => {
                    let effect = Apply::within(self, plan).one(&steps[at].step).await;
                    let effect = effect.map_err(|stop| fault(Some(at), plan, stop))?;
                    if let Effect::Stored { key, .. } | Effect::Deleted { key } = &effect {
                        numbers.insert(plan.numbers.of(key));
                    }
                    let outcome = steps[at].accepted.outcome(&plan.mapping, &effect, plan.is_hidden);
                    all[at] = outcome.map_err(|error| fault(Some(at), plan, error.into()))?;
                }
                Part::Run(run) => {
                    let done = bulk::write(self, plan, steps, &run, &mut all, &mut numbers).await;
                    done.map_err(|stop| fault(None, plan, stop))?;
                }
            }
        }
        if !numbers.is_empty() {
            let numbers: Vec<i32> = numbers.into_iter().collect();
            self.count_round_trip();
            let locked = self.run(LOCK, &[Wire::Text(array(&numbers))]).await;
            locked.map_err(|failure| fault(None, plan, failure.into()))?;
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
        let rows = self.rows(SCHEMAS, &[]).await?;
        let [schema] = rows.as_slice() else {
            let error = match rows.len() {
                0 => missing(self.database()),
                _ => {
                    let detail = format!("there are tables `{APPLIED}` in several schemas: drop all but one");
                    Error::new(ErrorKind::Configuration, LOOK, detail)
                }
            };
            return Err(Fault::of(error));
        };
        let schema: String = schema.try_get(0).unwrap_or_default();
        let applied =
            AppliedStatements::new(AppliedDialect::Postgres, format!("{}.{APPLIED}", quoted(&schema)));
        for sql in applied.try_rights() {
            self.command(&sql).await.map_err(|failure| self.own_fault(&failure))?;
        }
        Ok(applied)
    }
}

impl Session {
    /// Runs a statement on `tl_applied`.
    async fn rows(&self, sql: &str, values: &[Value]) -> std::result::Result<Vec<Row>, Fault> {
        let wires: Vec<Wire> = values.iter().map(to_wire).collect();
        self.count_round_trip();
        self.run(sql, &wires).await.map_err(|failure| self.own_fault(&failure))
    }

    /// What a statement on `tl_applied` failed with.
    fn own_fault(&self, failure: &Failure) -> Fault {
        let error = match failure {
            Failure::Server(Complaint { code, .. }) if code == UNDEFINED => missing(self.database()),
            Failure::Server(Complaint { code, .. }) if code == NO_COLUMN => outdated(self.database()),
            Failure::Server(Complaint { code, .. }) if code == DENIED => denied(),
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
    Some(LaneRow {
        lane: row.try_get(0).ok()?,
        journal: row.try_get(1).ok()?,
        name: row.try_get(2).ok()?,
        epoch: row.try_get(3).ok()?,
        position: row.try_get(4).ok()?,
    })
}
