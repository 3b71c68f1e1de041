// SPDX-License-Identifier: MIT OR Apache-2.0
//! The threads that read: each answers what waits in batches, under one snapshot.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rusqlite::Connection;
use throughline_core::{Error, Key, Loaded, Record, Result, Sent};
use tokio::sync::oneshot;

use super::held::Held;
use super::plan::Plan;
use super::queue::{Queue, Waiting};
use super::stats::Counters;
use crate::sql::Value;

/// The most requests that one snapshot serves, so that it does not grow old.
const BATCH_LEN_MAX: usize = 32;
const LOAD: &str = "load a row";

/// A key to be looked up.
#[derive(Debug)]
pub(super) struct Look {
    /// As it was asked for.
    pub(super) key: Key,
    /// As it is stored, as far as its text tells.
    pub(super) canonical: Key,
    pub(super) values: Vec<Value>,
    /// Whether the caller holds a lease and the key is canonical as far as its text tells.
    pub(super) may_fill: bool,
}

/// What is asked.
#[derive(Debug)]
pub(super) enum Asked {
    One(Look, oneshot::Sender<Result<Loaded>>),
    Many(Vec<Look>, oneshot::Sender<Result<Vec<Loaded>>>),
}

/// A request to the readers.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) plan: Arc<Plan>,
    pub(super) sent: Sent,
    pub(super) asked: Asked,
}

/// What was found, and for whom.
enum Answer {
    One(Result<Loaded>, oneshot::Sender<Result<Loaded>>),
    Many(Result<Vec<Loaded>>, oneshot::Sender<Result<Vec<Loaded>>>),
}

/// What a reading thread works with.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) connection: Connection,
    pub(super) requests: Arc<Queue<Request>>,
    pub(super) held: Arc<Held>,
    pub(super) counters: Arc<Counters>,
}

impl Reader {
    /// Answers until the queue is closed.
    pub(super) fn run(self) {
        let mut batch = Vec::with_capacity(BATCH_LEN_MAX);
        let mut answers = Vec::with_capacity(BATCH_LEN_MAX);
        while self.requests.take(&mut batch, BATCH_LEN_MAX) {
            batch.retain(|request| !request.is_given_up());
            self.read_batch(&mut batch, &mut answers);
            // All at once: a caller that is woken in between would ask again and be put to sleep again
            // before the next is answered, and on a machine with few cores each time costs a switch.
            answers.drain(..).for_each(Answer::send);
        }
    }

    /// The order is what makes a fill safe: all flights are closed to joiners, then all keys are probed,
    /// then the snapshot begins.
    fn read_batch(&self, batch: &mut Vec<Request>, answers: &mut Vec<Answer>) {
        for request in batch.iter_mut() {
            request.sent.trip();
            self.probe(request);
        }
        // A single SELECT is a snapshot of its own.
        let shared = batch.len() > 1 || batch.iter().any(Request::may_need_several);
        let began = if shared { self.execute("BEGIN") } else { Ok(()) };
        self.counters.loads.fetch_add(batch.len() as u64, Ordering::Relaxed);
        answers.extend(batch.drain(..).map(|request| match &began {
            Ok(()) => self.read(request),
            Err(error) => request.failed(error),
        }));
        if shared && !self.connection.is_autocommit() {
            // Nothing was written, so it does not matter how the snapshot ends; but it must, or the next single
            // SELECT would read the past.
            if self.execute("COMMIT").is_err() {
                let _ended = self.execute("ROLLBACK");
            }
        }
    }

    /// Takes the right to fill from those whose key a prepared write holds.
    fn probe(&self, request: &mut Request) {
        let looks = match &mut request.asked {
            Asked::One(look, _) => std::slice::from_mut(look),
            Asked::Many(looks, _) => looks.as_mut_slice(),
        };
        for look in looks {
            if look.may_fill && self.held.is_held(request.plan.table, &look.key) {
                look.may_fill = false;
                self.counters.probes_refused.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn read(&self, request: Request) -> Answer {
        match request.asked {
            Asked::One(look, reply) => Answer::One(self.one(&request.plan, &look), reply),
            Asked::Many(looks, reply) => Answer::Many(self.many(&request.plan, &looks), reply),
        }
    }

    fn one(&self, plan: &Plan, look: &Look) -> Result<Loaded> {
        if plan.mapping.key().is_exact() {
            let record =
                plan.look(LOAD, &self.connection, &look.values, &self.counters, |row| Ok(plan.record(row)))?;
            return Ok(loaded(plan, look, record, true));
        }
        let stored = plan.find(LOAD, &self.connection, &look.values, &self.counters)?;
        let is_same = stored.as_ref().is_none_or(|stored| stored.key == look.key);
        Ok(loaded(plan, look, stored.map(|stored| stored.record), is_same))
    }

    fn many(&self, plan: &Plan, looks: &[Look]) -> Result<Vec<Loaded>> {
        let keys = looks.iter().map(|look| look.values.as_slice());
        let found = plan.find_many(LOAD, &self.connection, keys, &self.counters)?;
        let is_exact = plan.mapping.key().is_exact();
        let answer = |look: &Look| match found.get(&look.canonical) {
            // The database may hold another key for equal, which the row has.
            None if !is_exact => self.one(plan, look),
            record => Ok(loaded(plan, look, record.cloned(), true)),
        };
        looks.iter().map(answer).collect()
    }

    fn execute(&self, text: &str) -> Result<()> {
        let run = || self.connection.prepare_cached(text)?.raw_execute();
        run().map(drop).map_err(|cause| {
            let file = self.connection.path().map(std::path::Path::new).map(super::client::file_name);
            super::map::error(LOAD, &file.unwrap_or_default(), cause)
        })
    }
}

/// Absence is filled only where the key's text alone decides which row it means.
fn loaded(plan: &Plan, look: &Look, record: Option<Record>, is_same: bool) -> Loaded {
    Loaded {
        fillable: look.may_fill && is_same && (record.is_some() || plan.mapping.key().is_exact()),
        record,
    }
}

impl Waiting for Request {
    fn is_given_up(&self) -> bool {
        match &self.asked {
            Asked::One(_, reply) => reply.is_closed(),
            Asked::Many(_, reply) => reply.is_closed(),
        }
    }
}

impl Request {
    fn may_need_several(&self) -> bool {
        matches!(self.asked, Asked::Many(..))
    }

    fn failed(self, error: &Error) -> Answer {
        match self.asked {
            Asked::One(_, reply) => Answer::One(Err(error.clone()), reply),
            Asked::Many(_, reply) => Answer::Many(Err(error.clone()), reply),
        }
    }
}

impl Answer {
    /// Whoever gave up meanwhile does not hear it.
    fn send(self) {
        match self {
            Self::One(answer, reply) => drop(reply.send(answer)),
            Self::Many(answer, reply) => drop(reply.send(answer)),
        }
    }
}
