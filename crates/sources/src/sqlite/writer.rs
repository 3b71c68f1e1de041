// SPDX-License-Identifier: MIT OR Apache-2.0
//! The thread that writes: one transaction at a time, held open until its verdict.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use throughline_core::{Effect, Error, ErrorKind, Result};
use tokio::sync::oneshot;

use super::SourceTable;
use super::apply::{Step, WRITE};
use super::catalogue;
use super::drain::Errand;
use super::held::Held;
use super::map::is_io;
use super::open::Life;
use super::outbox::Found;
use super::plan::Plan;
use super::prepared::{SqlitePrepared, Verdict, prepared};
use super::queue::{Queue, Waiting};
use super::stats::Counters;
use crate::sql::outbox::KeyMaps;
use crate::transaction::{Members, RemoteTransaction};

/// What the writer is asked to do.
#[derive(Debug)]
pub(super) enum Job {
    /// Run these steps and hold the transaction open.
    Prepare { plan: Arc<Plan>, steps: Vec<Step>, reply: oneshot::Sender<Result<SqlitePrepared>> },
    /// Begin a transaction and serve its caller to its end.
    Begin { reply: oneshot::Sender<Result<RemoteTransaction>> },
    /// Apply accepted writes, or change who owns their lanes.
    Drain(Errand),
    /// Say whether another program committed since this was last asked.
    Poll { reply: oneshot::Sender<Result<bool>> },
    /// Say which tables have triggers of ours.
    Fed { reply: oneshot::Sender<Vec<String>> },
    /// Take what other programs changed.
    Take { reply: oneshot::Sender<Result<Found>> },
    /// Remove the news up to this one.
    Remove { last_id: i64, reply: oneshot::Sender<Result<()>> },
}

impl Waiting for Job {
    fn is_given_up(&self) -> bool {
        match self {
            Self::Prepare { reply, .. } => reply.is_closed(),
            Self::Begin { reply } => reply.is_closed(),
            Self::Drain(errand) => errand.is_given_up(),
            Self::Poll { reply } => reply.is_closed(),
            Self::Fed { reply } => reply.is_closed(),
            Self::Take { reply } => reply.is_closed(),
            // What was confirmed need not come again, whoever left.
            Self::Remove { .. } => false,
        }
    }
}

/// What the writing thread works with.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) file: String,
    pub(super) jobs: Arc<Queue<Job>>,
    pub(super) held: Arc<Held>,
    pub(super) counters: Arc<Counters>,
    pub(super) tables: Arc<[SourceTable]>,
    pub(super) prepared_wait: Duration,
    pub(super) life: Life,
    pub(super) members: Members<Plan>,
    /// The tables with triggers of ours.
    pub(super) fed: KeyMaps,
    pub(super) seen: Seen,
}

/// The numbers by which changes of other programs are noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    data: i64,
    pub(super) schema: i64,
}

impl Seen {
    /// The present numbers. `data_version` counts commits of other connections only, and our readers never
    /// commit, so on the writer's connection it tells other programs.
    pub(super) fn now(connection: &Connection) -> rusqlite::Result<Self> {
        let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get(0));
        // In this order a commit between the two is noticed by the next look.
        Ok(Self { data: number("data_version")?, schema: number("schema_version")? })
    }
}

impl Writer {
    /// Works until the queue is closed.
    pub(super) fn run(mut self) {
        let mut next = Vec::with_capacity(1);
        let jobs = Arc::clone(&self.jobs);
        while jobs.take(&mut next, 1) {
            match next.pop().filter(|job| !job.is_given_up()) {
                Some(Job::Prepare { plan, steps, reply }) => self.write(&plan, &steps, reply),
                Some(Job::Begin { reply }) => self.serve(reply),
                Some(Job::Drain(errand)) => self.run_errand(errand),
                Some(Job::Poll { reply }) => {
                    let _ = reply.send(self.poll());
                }
                Some(Job::Fed { reply }) => {
                    let _ = reply.send(self.fed.names().map(|name| name.to_string()).collect());
                }
                Some(Job::Take { reply }) => {
                    let _ = reply.send(self.take());
                }
                Some(Job::Remove { last_id, reply }) => {
                    let _ = reply.send(self.remove(last_id));
                }
                None => {}
            }
        }
    }

    fn write(&self, plan: &Plan, steps: &[Step], reply: oneshot::Sender<Result<SqlitePrepared>>) {
        let effects = self.prepare(plan, steps);
        let (verdict, began) = match effects {
            Ok(effects) => {
                let (ours, awaited) = prepared(effects);
                // A caller who gave up drops its end, which is a verdict.
                let _ = reply.send(Ok(ours));
                (awaited.verdict(self.prepared_wait), None)
            }
            Err(error) => (None, Some((reply, error))),
        };
        // Once the transaction has ended, and not before, its keys may be filled again.
        let ended = match &verdict {
            Some(Verdict::Commit(_)) => self.commit(),
            _ => self.roll_back(),
        };
        self.held.release();
        if let Some((reply, error)) = began {
            let _ = reply.send(Err(error));
        }
        if let Some(Verdict::Commit(reply) | Verdict::RollBack(reply)) = verdict {
            let _ = reply.send(ended);
        }
    }

    /// Begins the transaction, runs the steps and holds their keys.
    fn prepare(&self, plan: &Plan, steps: &[Step]) -> Result<Vec<Effect>> {
        self.counters.transactions.fetch_add(1, Ordering::Relaxed);
        self.execute("BEGIN IMMEDIATE").map_err(|cause| plan.error(WRITE, cause))?;
        let outbox_end = self.outbox_end().map_err(|cause| plan.error(WRITE, cause))?;
        let mut effects = Vec::with_capacity(steps.len());
        for step in steps {
            let effect = plan.apply(&self.connection, step, &self.counters)?;
            if let Effect::Stored { key, .. } | Effect::Deleted { key } = &effect {
                self.held.hold(plan.table, key.clone());
            }
            effects.push(effect);
        }
        if let Some(end) = outbox_end {
            self.take_own(plan, &effects, end).map_err(|cause| plan.error(WRITE, cause))?;
        }
        Ok(effects)
    }

    pub(super) fn commit(&self) -> Result<()> {
        let Err(cause) = self.execute("COMMIT") else {
            return Ok(());
        };
        let unknown = is_io(&cause);
        let error = super::map::error("commit a write", &self.file, cause);
        let rolled_back = self.roll_back();
        if unknown {
            // The frames may be in the log although flushing them failed, and then a restart finds them.
            return Err(Error::new(ErrorKind::OutcomeUnknown, "commit a write", error.detail().to_owned()));
        }
        rolled_back?;
        Err(error)
    }

    pub(super) fn roll_back(&self) -> Result<()> {
        if self.connection.is_autocommit() {
            return Ok(());
        }
        self.execute("ROLLBACK").map_err(|cause| super::map::error("roll a write back", &self.file, cause))
    }

    pub(super) fn execute(&self, text: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(text)?.raw_execute().map(drop)
    }

    pub(super) fn poll(&mut self) -> Result<bool> {
        let fails = |cause| super::map::error("look for changes by others", &self.file, cause);
        let now = Seen::now(&self.connection).map_err(fails)?;
        if now == self.seen {
            return Ok(false);
        }
        if now.schema != self.seen.schema {
            let found = catalogue::read(&self.connection).map_err(fails)?;
            for known in &*self.tables {
                let same = found
                    .iter()
                    .any(|found| found.columns == known.table.columns && found.name == known.table.name);
                known.altered.store(!same, Ordering::SeqCst);
            }
        }
        self.seen = now;
        Ok(true)
    }
}

/// Refuses work on a table whose columns are others than when it was opened.
pub(super) fn refuse_if_altered(operation: &'static str, altered: &AtomicBool, table: &str) -> Result<()> {
    if !altered.load(Ordering::SeqCst) {
        return Ok(());
    }
    let detail = format!("the columns of `{table}` were altered while it was served: restart");
    Err(Error::new(ErrorKind::Configuration, operation, detail))
}
