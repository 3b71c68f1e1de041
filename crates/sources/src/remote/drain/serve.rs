// SPDX-License-Identifier: MIT OR Apache-2.0
//! Carries out what waits: a batch or a claim is one transaction.
//!
//! A batch moves its lane's watermark first, under a condition, which also holds the lane's row: of two tries of one
//! batch the second waits until the first has ended, and then finds that there is nothing to do.

use throughline_core::{Applied, Claim, Drained, Error, ErrorKind, Lane, Owner, Result, Retry, Undrained};

use super::{BatchOrder, DrainJob, DrainPlan};
use crate::drain::{APPLY, held, taken, undrained};
use crate::sql::{AppliedStatements, LaneRow, Value};

/// How often what the server ended because of a deadlock is begun anew.
const DEADLOCK_COUNT_MAX: usize = 3;

/// How the rows of a batch are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Many by one statement, where that means the same.
    Together,
    /// Write by write, which tells which of them is to blame.
    OneByOne,
}

/// Why a step of a transaction failed.
#[derive(Debug)]
pub(crate) struct Fault {
    /// Which write of the batch it was, if it was one.
    pub(crate) at: Option<usize>,
    pub(crate) error: Error,
    /// Whether the connection was lost before anything was committed.
    pub(crate) is_lost: bool,
    /// Whether the transaction may be begun anew at once.
    pub(crate) is_deadlock: bool,
}

impl Fault {
    /// One of our own making.
    pub(crate) fn of(error: Error) -> Self {
        Self { at: None, error, is_lost: false, is_deadlock: false }
    }
}

type Outcome<T> = std::result::Result<T, Fault>;

/// A connection, in the words of what is done over it.
pub(crate) trait DrainSession: Send {
    /// What it knows of a table.
    type Plan: DrainPlan;

    /// Begins a transaction.
    fn begin(&mut self) -> impl Future<Output = Outcome<()>> + Send;

    /// Runs a statement that reads rows of `tl_applied`.
    fn lanes(&mut self, sql: &str, values: Vec<Value>) -> impl Future<Output = Outcome<Vec<LaneRow>>> + Send;

    /// Runs a statement that changes rows of `tl_applied`; how many it met, if it tells.
    fn change(&mut self, sql: &str, values: Vec<Value>) -> impl Future<Output = Outcome<u64>> + Send;

    /// Writes the rows of a batch.
    fn write(
        &mut self,
        order: &BatchOrder<Self::Plan>,
        pace: Pace,
    ) -> impl Future<Output = Outcome<Vec<Applied>>> + Send;

    /// Commits the transaction.
    fn commit(&mut self) -> impl Future<Output = Result<()>> + Send;

    /// Ends the transaction without a trace, or the connection.
    fn roll_back(&mut self) -> impl Future<Output = ()> + Send;

    /// Looks for `tl_applied`.
    fn look(&mut self) -> impl Future<Output = Outcome<AppliedStatements>> + Send;
}

/// Does the job and answers it, or gives it back when the connection was lost before its COMMIT: then nothing was done.
pub(crate) async fn serve<S: DrainSession>(
    session: &mut S,
    job: DrainJob<S::Plan>,
) -> std::result::Result<(), DrainJob<S::Plan>> {
    match job {
        DrainJob::Apply(order) => match apply(session, &order).await {
            Some(outcome) => drop(order.reply.send(Ok(outcome))),
            None => return Err(DrainJob::Apply(order)),
        },
        DrainJob::Claim { applied, lanes, owner, table, by_force, reply } => {
            let claims = Some((table.as_str(), by_force));
            let change = Change { applied: &applied, lanes: &lanes, owner: &owner, claims };
            match change.settled(session).await {
                Some(outcome) => drop(reply.send(outcome)),
                None => return Err(DrainJob::Claim { applied, lanes, owner, table, by_force, reply }),
            }
        }
        DrainJob::Release { applied, lanes, owner, reply } => {
            let change = Change { applied: &applied, lanes: &lanes, owner: &owner, claims: None };
            match change.settled(session).await {
                Some(outcome) => drop(reply.send(outcome.map(drop))),
                None => return Err(DrainJob::Release { applied, lanes, owner, reply }),
            }
        }
        DrainJob::Look { reply } => match session.look().await {
            Ok(applied) => drop(reply.send(Ok(applied))),
            Err(fault) if fault.is_lost => return Err(DrainJob::Look { reply }),
            Err(fault) => drop(reply.send(Err(fault.error))),
        },
    }
    Ok(())
}

/// `None` when the connection was lost before the COMMIT.
async fn apply<S: DrainSession>(
    session: &mut S,
    order: &BatchOrder<S::Plan>,
) -> Option<std::result::Result<Drained, Undrained>> {
    let count = order.steps.len();
    let mut pace = Pace::Together;
    let mut deadlock_count = 0;
    loop {
        let fault = match attempt(session, order, pace).await {
            Ok(drained @ Drained::Taken(_)) => {
                session.roll_back().await;
                return Some(Ok(drained));
            }
            Ok(drained) => {
                let committed = session.commit().await;
                return Some(committed.map(|()| drained).map_err(|error| undrained(None, count, error)));
            }
            Err(fault) if fault.is_lost => return None,
            Err(fault) => fault,
        };
        session.roll_back().await;
        if fault.is_deadlock && deadlock_count < DEADLOCK_COUNT_MAX {
            deadlock_count += 1;
        } else if pace == Pace::Together && fault.at.is_none() && fault.error.retry() == Retry::Never {
            // Perhaps only the order mattered; if not, it shows which write is to blame.
            pace = Pace::OneByOne;
        } else {
            return Some(Err(undrained(fault.at, count, fault.error)));
        }
    }
}

/// Everything but the COMMIT.
async fn attempt<S: DrainSession>(
    session: &mut S,
    order: &BatchOrder<S::Plan>,
    pace: Pace,
) -> Outcome<Drained> {
    let course = &order.course;
    session.begin().await?;
    let (sql, values) = order.applied.advance(&course.lane, &course.owner, course.from, course.to);
    if session.change(&sql, values).await? == 1 {
        return session.write(order, pace).await.map(Drained::Done);
    }
    let (sql, values) = order.applied.read(std::slice::from_ref(&course.lane));
    let rows = session.lanes(&sql, values).await?;
    let drained = course.explained_by(rows.first()).ok_or_else(|| {
        let error = Error::new(ErrorKind::Timeout, APPLY, "the lane was changed meanwhile");
        Fault::of(error.with_retry(Retry::Safe))
    })?;
    if matches!(drained, Drained::Already(_)) {
        for (sql, values) in order.applied.flush(&course.lane) {
            session.change(&sql, values).await?;
        }
    }
    Ok(drained)
}

/// A change of lanes' owners.
struct Change<'a> {
    applied: &'a AppliedStatements,
    lanes: &'a [Lane],
    owner: &'a Owner,
    /// Whether it is a claim, and then where its writes go and whether it is by force.
    claims: Option<(&'a str, bool)>,
}

impl Change<'_> {
    /// `None` when the connection was lost before the COMMIT.
    async fn settled<S: DrainSession>(&self, session: &mut S) -> Option<Result<Claim>> {
        if self.lanes.is_empty() {
            return Some(Ok(Claim::Held(Vec::new())));
        }
        let mut deadlock_count = 0;
        loop {
            let fault = match self.attempt(session).await {
                Ok(Claim::Held(watermarks)) => {
                    let committed = session.commit().await;
                    return Some(committed.map(|()| Claim::Held(watermarks)));
                }
                Ok(taken) => {
                    session.roll_back().await;
                    return Some(Ok(taken));
                }
                Err(fault) if fault.is_lost => return None,
                Err(fault) => fault,
            };
            session.roll_back().await;
            if !fault.is_deadlock || deadlock_count == DEADLOCK_COUNT_MAX {
                return Some(Err(fault.error));
            }
            deadlock_count += 1;
        }
    }

    async fn attempt<S: DrainSession>(&self, session: &mut S) -> Outcome<Claim> {
        let (applied, lanes, owner) = (self.applied, self.lanes, self.owner);
        session.begin().await?;
        let Some((table, by_force)) = self.claims else {
            let (sql, values) = applied.give_up(lanes, owner);
            session.change(&sql, values).await?;
            return Ok(Claim::Held(Vec::new()));
        };
        let (sql, values) = applied.enter(lanes);
        session.change(&sql, values).await?;
        let (sql, values) = applied.read(lanes);
        let rows = session.lanes(&sql, values).await?;
        if let Some(other) = taken(&rows, owner, by_force) {
            return Ok(Claim::Taken(other));
        }
        let (sql, values) = applied.take(lanes, owner, table);
        session.change(&sql, values).await?;
        let (sql, values) = applied.read(lanes);
        let rows = session.lanes(&sql, values).await?;
        held(lanes, &rows).map_err(Fault::of)
    }
}
