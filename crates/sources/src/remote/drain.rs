// SPDX-License-Identifier: MIT OR Apache-2.0
//! Drains of the database servers: the caller's end, what waits for a connection, and the steps of a batch and of a
//! claim, which are the same on every server.
//!
//! They have connections of their own, so that a batch keeps no write of a caller waiting. These are marked like those
//! of callers' writes: an outbox does not tell what they wrote.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use throughline_core::{
    BoxFuture, Claim, Drain, DrainBatch, Drained, Error, Lane, Owner, Record, Result, Undrained, Write,
};
use tokio::sync::oneshot;

use super::{Step, Workers};
use crate::drain::{
    APPLY, Accepted, BATCH_MAX, CLAIM, Course, LOOK, RELEASE, check_claim, check_len, key_of, undrained,
};
use crate::queue::Job;
use crate::sql::{AppliedStatements, Mapping};

mod serve;

pub(crate) use serve::{DrainSession, Fault, Pace, serve};

/// How many batches may be under way at once.
pub(crate) const CONNECTION_COUNT: usize = 4;

/// How long a caller waits at most. A batch that is done write by write takes several hundred round trips, and
/// another may be in front of it; whoever left gives the same batch again.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// What a drain must know of a table's plan.
pub(crate) trait DrainPlan: fmt::Debug + Send + Sync + 'static {
    /// How its records come from the table.
    fn mapping(&self) -> &Mapping;

    /// Reads a write.
    ///
    /// # Errors
    /// As [`Step::new`].
    fn step(&self, write: &Write) -> Result<Step>;
}

/// A write of a batch.
#[derive(Debug)]
pub(crate) struct DrainStep {
    pub(crate) step: Step,
    pub(crate) accepted: Accepted,
}

/// What became of a batch; the outer error is that of a queue that took no job.
type BatchReply = oneshot::Sender<Result<std::result::Result<Drained, Undrained>>>;

/// A batch that waits for a connection.
#[derive(Debug)]
pub(crate) struct BatchOrder<P> {
    pub(crate) plan: Arc<P>,
    pub(crate) applied: Arc<AppliedStatements>,
    pub(crate) course: Course,
    pub(crate) steps: Vec<DrainStep>,
    reply: BatchReply,
}

/// What waits for a connection.
#[derive(Debug)]
pub(crate) enum DrainJob<P> {
    /// Apply a batch.
    Apply(Box<BatchOrder<P>>),
    /// Claim lanes.
    Claim {
        applied: Arc<AppliedStatements>,
        lanes: Vec<Lane>,
        owner: Owner,
        /// Where their writes go.
        table: String,
        by_force: bool,
        reply: oneshot::Sender<Result<Claim>>,
    },
    /// Give lanes up.
    Release {
        applied: Arc<AppliedStatements>,
        lanes: Vec<Lane>,
        owner: Owner,
        reply: oneshot::Sender<Result<()>>,
    },
    /// Look for the table.
    Look { reply: oneshot::Sender<Result<AppliedStatements>> },
}

impl<P: Send + Sync + 'static> Job for DrainJob<P> {
    fn is_abandoned(&self) -> bool {
        match self {
            Self::Apply(order) => order.reply.is_closed(),
            Self::Claim { reply, .. } => reply.is_closed(),
            Self::Release { reply, .. } => reply.is_closed(),
            Self::Look { reply } => reply.is_closed(),
        }
    }

    fn weight(&self) -> usize {
        1
    }

    fn joins(&self, _other: &Self) -> bool {
        false
    }

    fn refuse(self, error: Error) {
        // A caller that left needs no answer.
        match self {
            Self::Apply(order) => drop(order.reply.send(Err(error))),
            Self::Claim { reply, .. } => drop(reply.send(Err(error))),
            Self::Release { reply, .. } => drop(reply.send(Err(error))),
            Self::Look { reply } => drop(reply.send(Err(error))),
        }
    }
}

/// Applies accepted writes to one table of a server.
pub(crate) struct RemoteDrain<P: DrainPlan> {
    workers: Arc<Workers<DrainJob<P>>>,
    plan: Arc<P>,
    applied: Arc<AppliedStatements>,
}

impl<P: DrainPlan> fmt::Debug for RemoteDrain<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteDrain").field("table", &self.name()).finish_non_exhaustive()
    }
}

impl<P: DrainPlan> RemoteDrain<P> {
    /// The table, for people.
    fn name(&self) -> &str {
        &self.plan.mapping().table().name
    }

    /// Looks for the table of applied writes.
    ///
    /// # Errors
    /// [`throughline_core::ErrorKind::Configuration`] without the table, [`throughline_core::ErrorKind::Denied`] without
    /// the rights, each with the remedy.
    pub(crate) async fn open(workers: Arc<Workers<DrainJob<P>>>, plan: Arc<P>) -> Result<Self> {
        let job = |reply| DrainJob::Look { reply };
        let applied = Arc::new(workers.ask(LOOK, ANSWER_LIMIT, late, job).await?);
        Ok(Self { workers, plan, applied })
    }

    fn read(&self, write: &Write) -> Result<DrainStep> {
        key_of(write, self.name())?;
        let step = self.plan.step(write)?;
        let accepted = Accepted::of(self.plan.mapping(), step.assignments.as_ref(), &step.condition);
        Ok(DrainStep { step, accepted })
    }

    fn steps(&self, batch: &DrainBatch<'_>) -> std::result::Result<Vec<DrainStep>, Undrained> {
        let count = batch.writes.len();
        check_len(count)?;
        let read = |(at, write): (usize, &throughline_core::AcceptedWrite)| {
            self.read(&write.write).map_err(|error| undrained(Some(at), count, error))
        };
        batch.writes.iter().enumerate().map(read).collect()
    }
}

/// Gives up those of `lanes` that `owner` has, without a drain of their table.
///
/// # Errors
/// As [`RemoteDrain::open`], and those of any statement.
pub(crate) async fn release_lanes<P>(
    workers: &Workers<DrainJob<P>>,
    lanes: &[Lane],
    owner: &Owner,
) -> Result<()>
where
    P: Send + Sync + 'static,
{
    let applied = workers.ask(LOOK, ANSWER_LIMIT, late, |reply| DrainJob::Look { reply }).await?;
    release(workers, &Arc::new(applied), lanes, owner).await
}

async fn release<P>(
    workers: &Workers<DrainJob<P>>,
    applied: &Arc<AppliedStatements>,
    lanes: &[Lane],
    owner: &Owner,
) -> Result<()>
where
    P: Send + Sync + 'static,
{
    check_claim(RELEASE, lanes, owner)?;
    let (applied, lanes, owner) = (Arc::clone(applied), lanes.to_vec(), owner.clone());
    let job = |reply| DrainJob::Release { applied, lanes, owner, reply };
    workers.ask(RELEASE, ANSWER_LIMIT, late, job).await
}

fn late() -> String {
    "no connection became free in time, or a batch took too long".to_owned()
}

impl<P: DrainPlan> Drain for RemoteDrain<P> {
    fn batch_max(&self) -> usize {
        BATCH_MAX
    }

    fn check(&self, write: &Write) -> Result<Option<Record>> {
        self.read(write).map(|step| step.accepted.into_record())
    }

    fn claim<'a>(
        &'a self,
        lanes: &'a [Lane],
        owner: &'a Owner,
        by_force: bool,
    ) -> BoxFuture<'a, Result<Claim>> {
        Box::pin(async move {
            check_claim(CLAIM, lanes, owner)?;
            let (applied, lanes, owner) = (Arc::clone(&self.applied), lanes.to_vec(), owner.clone());
            let table = self.plan.mapping().table().whole_name();
            let job = |reply| DrainJob::Claim { applied, lanes, owner, table, by_force, reply };
            self.workers.ask(CLAIM, ANSWER_LIMIT, late, job).await
        })
    }

    fn release<'a>(&'a self, lanes: &'a [Lane], owner: &'a Owner) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { release(&self.workers, &self.applied, lanes, owner).await })
    }

    fn apply<'a>(&'a self, batch: DrainBatch<'a>) -> BoxFuture<'a, std::result::Result<Drained, Undrained>> {
        Box::pin(async move {
            let steps = self.steps(&batch)?;
            let count = steps.len();
            let (plan, applied) = (Arc::clone(&self.plan), Arc::clone(&self.applied));
            let course = Course::of(&batch);
            let job = |reply| DrainJob::Apply(Box::new(BatchOrder { plan, applied, course, steps, reply }));
            let asked = self.workers.ask(APPLY, ANSWER_LIMIT, late, job).await;
            asked.map_err(|error| undrained(None, count, error))?
        })
    }
}
