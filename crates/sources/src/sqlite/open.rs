// SPDX-License-Identifier: MIT OR Apache-2.0
//! Open transactions: the writing thread serves one caller until it commits, and everybody else waits.
//!
//! So its life is short: a caller that asks nothing for `transaction_idle_ms_max`, or is not done after
//! `transaction_ms_max`, is rolled back. The transaction takes SQLite's only write lock at its begin; what it reads stays as
//! it is, and it runs as if alone.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use rusqlite::types::ValueRef;
use throughline_core::{
    BoxFuture, Effect, Executed, Key, Member, Parameter, Prepared, Record, Result, Transaction, Transactions,
    Write,
};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::client::run;
use super::map;
use super::plan::Plan;
use super::prepared::{Verdict, prepared};
use super::writer::{Job, Writer, refuse_if_altered};
use super::{SqliteSource, closed};
use crate::sql::Value;
use crate::transaction::{Command, Ended, RemoteTransaction, answer, no_row_to_touch, too_many_rows};

const BEGIN: &str = "begin a transaction";
const READ: &str = "read a row in a transaction";
const EXECUTE: &str = "run a statement of the application";

/// How long a transaction may be open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    pub(super) idle: Duration,
    pub(super) whole: Duration,
}

/// What an open transaction has changed.
struct Changed {
    /// The end of the outbox before it, if there is one.
    outbox_end: Option<i64>,
    /// Each row's table, by its place in the catalogue, and its key.
    rows: Vec<(usize, Key)>,
    /// A resource over each of these tables.
    plans: Vec<Arc<Plan>>,
}

impl Changed {
    fn note(&mut self, plan: Arc<Plan>, key: Key) {
        self.rows.push((plan.table, key));
        if !self.plans.iter().any(|known| known.table == plan.table) {
            self.plans.push(plan);
        }
    }
}

impl Transactions for SqliteSource {
    fn begin(&self) -> BoxFuture<'_, Result<Box<dyn Transaction>>> {
        Box::pin(async {
            let (reply, answer) = oneshot::channel();
            self.shared.jobs.push(BEGIN, Job::Begin { reply })?;
            let transaction = answer.await.unwrap_or_else(|_| Err(closed(BEGIN)))?;
            Ok(Box::new(transaction) as Box<dyn Transaction>)
        })
    }
}

impl Writer {
    /// Serves one transaction to its end.
    pub(super) fn serve(&self, reply: oneshot::Sender<Result<RemoteTransaction>>) {
        let fails = |cause| map::error(BEGIN, &self.file, cause);
        self.counters.transactions.fetch_add(1, Ordering::Relaxed);
        let begun = self.execute("BEGIN IMMEDIATE").and_then(|()| self.outbox_end()).map_err(fails);
        let outbox_end = match begun {
            Ok(outbox_end) => outbox_end,
            Err(error) => {
                let _ = self.roll_back();
                let _ = reply.send(Err(error));
                return;
            }
        };
        let ended = Ended::default();
        let (commands, inbox) = sync_channel(1);
        let remote = RemoteTransaction::new(move |command| commands.try_send(command).is_ok(), ended.clone());
        // A caller that left drops its end, and that ends the transaction.
        let _ = reply.send(Ok(remote));
        let mut changed = Changed { outbox_end, rows: Vec::new(), plans: Vec::new() };
        let prepare = self.obey_all(&inbox, &ended, &mut changed);
        // Late commands are told why, at once.
        drop(inbox);
        let verdict = prepare.and_then(|reply| self.prepare_open(reply, &changed));
        let outcome = match &verdict {
            Some(Verdict::Commit(_)) => self.commit(),
            _ => self.roll_back(),
        };
        self.held.release();
        if let Some(Verdict::Commit(reply) | Verdict::RollBack(reply)) = verdict {
            let _ = reply.send(outcome);
        }
    }

    /// Runs commands until the caller prepares; `None` when the transaction is to be rolled back.
    fn obey_all(
        &self,
        inbox: &Receiver<Command>,
        ended: &Ended,
        changed: &mut Changed,
    ) -> Option<oneshot::Sender<Result<Box<dyn Prepared>>>> {
        let until = Instant::now() + self.life.whole;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let command = match inbox.recv_timeout(self.life.idle.min(left)) {
                Ok(command) => command,
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {
                    ended.set_late(self.life.idle, left);
                    return None;
                }
            };
            let goes_on = match command {
                Command::Prepare { reply } => return Some(reply),
                Command::Read { member, key, reply, .. } => answer(reply, self.read_open(member, &key)),
                Command::Write { member, write, reply } => {
                    answer(reply, self.write_open(member, &write, changed))
                }
                Command::Execute { sql, parameters, reply } => {
                    answer(reply, self.execute_open(&sql, &parameters))
                }
                Command::Touch { member, key, reply } => {
                    answer(reply, self.touch_open(member, &key, changed))
                }
            };
            if !goes_on {
                return None;
            }
        }
    }

    /// Takes the news of its own rows back and waits for the verdict.
    fn prepare_open(
        &self,
        reply: oneshot::Sender<Result<Box<dyn Prepared>>>,
        changed: &Changed,
    ) -> Option<Verdict> {
        if let Some(end) = changed.outbox_end {
            for plan in &changed.plans {
                let own = changed.rows.iter().filter(|(table, _)| *table == plan.table);
                let own: Vec<_> = own.map(|(_, key)| Effect::Deleted { key: key.clone() }).collect();
                if let Err(cause) = self.take_own(plan, &own, end) {
                    let _ = reply.send(Err(map::error("commit a transaction", &self.file, cause)));
                    return None;
                }
            }
        }
        let (ours, awaited) = prepared(Vec::new());
        let _ = reply.send(Ok(Box::new(ours)));
        awaited.verdict(self.prepared_wait)
    }

    fn plan(&self, member: Member) -> Result<Arc<Plan>> {
        let plan = self.members.plan(member)?;
        let table = plan.mapping.table();
        refuse_if_altered(READ, &self.tables[plan.table].altered, &table.name)?;
        Ok(plan)
    }

    fn read_open(&self, member: Member, key: &Key) -> Result<Option<Record>> {
        let plan = self.plan(member)?;
        let (values, _) = plan.mapping.key().read(key)?;
        let stored = plan.find(READ, &self.connection, &values, &self.counters)?;
        Ok(stored.map(|stored| stored.record))
    }

    fn write_open(&self, member: Member, write: &Write, changed: &mut Changed) -> Result<Effect> {
        let plan = self.plan(member)?;
        let effect = plan.apply(&self.connection, &plan.step(write)?, &self.counters)?;
        if let Effect::Stored { key, .. } | Effect::Deleted { key } = &effect {
            self.held.hold(plan.table, key.clone());
            changed.note(plan, key.clone());
        }
        Ok(effect)
    }

    fn touch_open(&self, member: Member, key: &Key, changed: &mut Changed) -> Result<Key> {
        let plan = self.plan(member)?;
        let map = plan.mapping.key();
        let (values, canonical) = map.read(key)?;
        let key = match canonical {
            throughline_core::Canonical::Other(canonical) => canonical,
            throughline_core::Canonical::Same if map.is_exact() => key.clone(),
            throughline_core::Canonical::Same => {
                let stored = plan.find(READ, &self.connection, &values, &self.counters)?;
                stored.map(|stored| stored.key).ok_or_else(|| no_row_to_touch(&plan.mapping.table().name))?
            }
        };
        self.held.hold(plan.table, key.clone());
        changed.note(plan, key.clone());
        Ok(key)
    }

    fn execute_open(&self, sql: &str, parameters: &[Parameter]) -> Result<Executed> {
        let fails = |cause| map::error(EXECUTE, &self.file, cause);
        let values: Vec<Value> = parameters.iter().map(value).collect();
        let mut rows = Vec::new();
        let mut count = 0;
        run(&self.connection, sql, &values, |row| {
            count += 1;
            if count <= Executed::ROW_COUNT_MAX {
                let width = row.as_ref().column_count();
                rows.push((0..width).map(|at| parameter(row.get_ref_unwrap(at))).collect());
            }
        })
        .map_err(fails)?;
        if count > Executed::ROW_COUNT_MAX {
            return Err(too_many_rows());
        }
        let is_read_only = self.connection.prepare_cached(sql).map_err(fails)?.readonly();
        let changed = if is_read_only { 0 } else { self.connection.changes() };
        Ok(Executed { changed, rows })
    }
}

fn value(parameter: &Parameter) -> Value {
    match parameter {
        Parameter::Null => Value::Null,
        Parameter::Integer(number) => Value::Int(*number),
        Parameter::Real(number) => Value::Float(*number),
        Parameter::Text(text) => Value::Text(text.clone()),
        Parameter::Bytes(bytes) => Value::Bytes(bytes.clone()),
    }
}

fn parameter(cell: ValueRef<'_>) -> Parameter {
    match cell {
        ValueRef::Null => Parameter::Null,
        ValueRef::Integer(number) => Parameter::Integer(number),
        ValueRef::Real(number) => Parameter::Real(number),
        ValueRef::Text(bytes) => std::str::from_utf8(bytes)
            .map_or_else(|_| Parameter::Bytes(bytes.to_vec()), |text| Parameter::Text(text.to_owned())),
        ValueRef::Blob(bytes) => Parameter::Bytes(bytes.to_vec()),
    }
}
