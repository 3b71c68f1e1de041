// SPDX-License-Identifier: MIT OR Apache-2.0
//! The read side: waiting look-ups of one table become one query.
//!
//! A look-up that is to be filled reads with a shared lock that it does not wait for (consistency.md §4.2):
//! InnoDB's locking read sees the newest commit and fails when a transaction holds one of the rows, or has
//! inserted or deleted one and not committed yet. Being granted is the probe, and the same statement is the
//! read. It runs by itself (autocommit), so its locks end with it.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use mysql_async::Value;
use throughline_core::Key;

use super::client::{Role, Server, Session};
use super::map::{Failure, statement_error};
use super::plan::{Plan, wires};
use super::stats::Counters;
use super::worker::Work;
use crate::remote::{Asked, Found, KeyedRow, LookUp, answer_all, refuse_all};
use crate::sql::Lock;

const OPERATION: &str = "load a row";

/// How many locking statements a batch may cost when some of its keys are locked: enough to tell one locked
/// key from 128; the rest is read plainly and not filled.
const PROBE_COUNT_MAX: usize = 16;

/// Answers look-ups.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) server: Arc<Server>,
}

impl Work for Reader {
    type Job = LookUp<Plan>;

    const ROLE: Role = Role::Reader;

    async fn run(
        &self,
        session: &mut Session,
        batch: Vec<LookUp<Plan>>,
    ) -> std::result::Result<(), Vec<LookUp<Plan>>> {
        let mut todo = vec![batch];
        while let Some(batch) = todo.pop() {
            let Some(unanswered) = self.read(session, batch).await else {
                continue;
            };
            let (mut batch, failure) = unanswered;
            match failure {
                failure if failure.is_lost() => {
                    batch.extend(todo.into_iter().flatten());
                    return Err(batch);
                }
                // A key that the server cannot even compare must not take its neighbours with it.
                Failure::Server { .. } if batch.len() > 1 => {
                    let second = batch.split_off(batch.len() / 2);
                    todo.extend([second, batch]);
                }
                failure => refuse(batch, &failure),
            }
        }
        Ok(())
    }
}

impl Reader {
    /// Reads all keys of a batch; gives it back with the reason when that fails.
    async fn read(
        &self,
        session: &mut Session,
        batch: Vec<LookUp<Plan>>,
    ) -> Option<(Vec<LookUp<Plan>>, Failure)> {
        let first = batch.first()?;
        let (plan, fill) = (Arc::clone(&first.plan), first.fill);
        let asked: Vec<Asked> = batch.iter().flat_map(|look_up| look_up.keys.iter().cloned()).collect();
        // From here on the statement may see the rows as they are now: nobody may join these flights.
        batch.iter().for_each(|look_up| look_up.sent.trip());
        let mut query = Query { session, plan: &plan, found: HashMap::with_capacity(asked.len()) };
        let outcome = if fill { query.probe(&asked).await } else { query.read_plainly(&asked).await };
        let found = query.found;
        if let Err(failure) = outcome {
            return Some((batch, failure));
        }
        let counters = self.server.counters();
        Counters::add(&counters.keys_read, asked.len());
        if fill {
            let refused = asked.iter().filter(|asked| !found[&asked.key].probed).count();
            Counters::add(&counters.probes_refused, refused);
        }
        answer_all(batch, &found);
        None
    }
}

fn refuse(batch: Vec<LookUp<Plan>>, failure: &Failure) {
    if let Some(plan) = batch.first().map(|look_up| Arc::clone(&look_up.plan)) {
        let error = statement_error(OPERATION, plan.name(), failure, &|name| plan.has_name(name));
        refuse_all(batch, plan.name(), &error);
    }
}

/// The statements of one batch and what they found.
struct Query<'a> {
    session: &'a mut Session,
    plan: &'a Plan,
    found: HashMap<Key, Found>,
}

impl Query<'_> {
    /// Reads the keys with the lock that does not wait, and those that are held plainly.
    async fn probe(&mut self, asked: &[Asked]) -> std::result::Result<(), Failure> {
        if !self.plan.can_probe() {
            return self.read_plainly(asked).await;
        }
        let mut held: Vec<Range<usize>> = Vec::new();
        let mut todo = Vec::from([Range { start: 0, end: asked.len() }]);
        let mut statement_count = 0;
        while let Some(range) = todo.pop() {
            if statement_count >= PROBE_COUNT_MAX {
                held.push(range);
                continue;
            }
            statement_count += 1;
            match self.read(&asked[range.clone()], true).await {
                Ok(()) => {}
                Err(failure) if failure.is_locked() && range.len() == 1 => held.push(range),
                Err(failure) if failure.is_locked() => {
                    let middle = range.start + range.len() / 2;
                    todo.extend([middle..range.end, range.start..middle]);
                }
                Err(failure) if failure.is_denied() => {
                    self.plan.lock_denied.store(true, Ordering::Relaxed);
                    return self.read_plainly(asked).await;
                }
                Err(failure) => return Err(failure),
            }
        }
        let held: Vec<Asked> = held.into_iter().flat_map(|range| asked[range].to_vec()).collect();
        self.read_plainly(&held).await
    }

    async fn read_plainly(&mut self, asked: &[Asked]) -> std::result::Result<(), Failure> {
        if asked.is_empty() {
            return Ok(());
        }
        self.read(asked, false).await
    }

    /// Reads the keys with one statement, and what it leaves unclear one by one.
    async fn read(&mut self, asked: &[Asked], probing: bool) -> std::result::Result<(), Failure> {
        let rows = self.select(asked, probing).await?;
        let (row_count, is_exact) = (rows.len(), self.plan.mapping.key().is_exact());
        if let [one] = asked {
            let row = rows.into_iter().next();
            self.found.insert(one.key.clone(), Found::alone(&one.key, row, probing, is_exact));
            return Ok(());
        }
        for (key, record) in rows {
            let found = Found { record: Some(record), probed: probing, exact: true };
            // A row whose key cannot be spelled is nobody's here, and everybody's whose key is unclear.
            key.map(|key| self.found.insert(key, found));
        }
        for one in asked {
            if self.found.contains_key(&one.key) {
                continue;
            }
            let found = if is_exact || row_count == 0 {
                Found::alone(&one.key, None, probing, is_exact)
            } else {
                // A row whose key is written otherwise (case, accents) may be this one: only the server knows.
                let row = self.select(std::slice::from_ref(one), false).await?.pop();
                Found::alone(&one.key, row, false, is_exact)
            };
            self.found.insert(one.key.clone(), found);
        }
        Ok(())
    }

    /// The rows of these keys.
    async fn select(
        &mut self,
        asked: &[Asked],
        probing: bool,
    ) -> std::result::Result<Vec<KeyedRow>, Failure> {
        // Rounded up, so that a connection prepares few statements; the last key fills the places up.
        let count = asked.len().next_power_of_two();
        let padded = asked.iter().chain(asked.last().into_iter().cycle()).take(count);
        let values: Vec<Value> = padded.flat_map(wires).collect();
        let sql = self.plan.select(count, if probing { Lock::Probe } else { Lock::None });
        let rows = self.session.run(&sql, values).await?.rows;
        let keyed = |row| {
            let cells = self.plan.cells(row);
            (self.plan.stored_key(&cells), self.plan.record(&cells))
        };
        Ok(rows.into_iter().map(keyed).collect())
    }
}
