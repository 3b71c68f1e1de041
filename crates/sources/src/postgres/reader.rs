// SPDX-License-Identifier: MIT OR Apache-2.0
//! The read side: waiting look-ups of one table become one query, with the probes of their keys in front.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::future::maybe_done;
use futures_util::poll;
use throughline_core::Key;
use tokio_postgres::Row;

use super::cell::Wire;
use super::client::{Role, Server, Session};
use super::coupling::{PROBE, PROBE_LEN_MAX, array};
use super::map::{Failure, statement_error};
use super::plan::{Plan, arrays, wires};
use super::stats::Counters;
use super::worker::Work;
use crate::remote::{Asked, Found, KeyedRow, LookUp, answer_all, refuse_all};

const OPERATION: &str = "load a row";

/// Answers look-ups.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) server: Arc<Server>,
}

impl Work for Reader {
    type Job = LookUp<Plan>;

    const ROLE: Role = Role::Reader;
    /// Enough that the next batch is at the server when one ends; more would only make the batches smaller.
    const DEPTH: usize = 2;

    async fn run(
        &self,
        session: &Session,
        batch: Vec<LookUp<Plan>>,
    ) -> std::result::Result<(), Vec<LookUp<Plan>>> {
        let mut todo = vec![batch];
        while let Some(batch) = todo.pop() {
            let Some((mut batch, failure)) = self.read(session, batch).await else {
                continue;
            };
            match failure {
                failure if failure.is_lost() => {
                    batch.extend(todo.into_iter().flatten());
                    return Err(batch);
                }
                // A key that the server cannot even read must not take its neighbours with it.
                Failure::Server(_) if batch.len() > 1 => {
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
        session: &Session,
        batch: Vec<LookUp<Plan>>,
    ) -> Option<(Vec<LookUp<Plan>>, Failure)> {
        let first = batch.first()?;
        let (plan, fill) = (Arc::clone(&first.plan), first.fill);
        let mut known = HashSet::new();
        let asked = batch.iter().flat_map(|look_up| &look_up.keys);
        let asked: Vec<Asked> = asked.filter(|asked| known.insert(&asked.key)).cloned().collect();
        // From here on the statement may see the rows as they are now: nobody may join these flights.
        batch.iter().for_each(|look_up| look_up.sent.trip());
        let query = Query { session, plan: &plan, counters: self.server.counters() };
        let found = match query.run(&asked, fill).await {
            Ok(found) => found,
            Err(failure) => return Some((batch, failure)),
        };
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

type Outcome<T> = std::result::Result<T, Failure>;

fn refuse(batch: Vec<LookUp<Plan>>, failure: &Failure) {
    if let Some(plan) = batch.first().map(|look_up| Arc::clone(&look_up.plan)) {
        let error = statement_error(OPERATION, plan.name(), failure, &|name| plan.has_name(name));
        refuse_all(batch, plan.name(), &error);
    }
}

/// The statements of one batch.
struct Query<'a> {
    session: &'a Session,
    plan: &'a Plan,
    counters: &'a Counters,
}

impl Query<'_> {
    async fn run(&self, asked: &[Asked], fill: bool) -> Outcome<HashMap<Key, Found>> {
        let (granted, rows) = self.probe_and_select(asked, fill).await?;
        let is_exact = self.plan.mapping.key().is_exact();
        let is_granted = |key: &Key| fill && granted.contains(&self.plan.numbers.of(key));
        if let [one] = asked {
            let row = rows.into_iter().next();
            let found = Found::alone(&one.key, row, is_granted(&one.key), is_exact);
            return Ok(HashMap::from([(one.key.clone(), found)]));
        }
        let row_count = rows.len();
        let mut found = HashMap::with_capacity(asked.len());
        for (key, record) in rows {
            // A row whose key cannot be spelled is nobody's here, and everybody's whose key is unclear.
            if let Some(key) = key {
                let probed = is_granted(&key);
                found.insert(key, Found { record: Some(record), probed, exact: true });
            }
        }
        for one in asked {
            if found.contains_key(&one.key) {
                continue;
            }
            let unclear = if is_exact || row_count == 0 {
                Found::alone(&one.key, None, is_granted(&one.key), is_exact)
            } else {
                // A row whose key is written otherwise (case, accents) may be this one: only the server knows.
                let row = self.select(std::slice::from_ref(one)).await?.pop();
                Found::alone(&one.key, row, false, is_exact)
            };
            found.insert(one.key.clone(), unclear);
        }
        Ok(found)
    }

    /// The numbers of the locks that nobody held, and the rows as they were afterwards.
    async fn probe_and_select(&self, asked: &[Asked], fill: bool) -> Outcome<(HashSet<i32>, Vec<KeyedRow>)> {
        if !fill {
            return Ok((HashSet::new(), self.select(asked).await?));
        }
        let probe = self.session.prepared(PROBE).await?;
        // Prepared before anything is sent, so that nothing stands between the probes and the SELECT.
        let select = self.session.prepared(&self.select_text(asked)).await?;
        let numbers: Vec<i32> = asked.iter().map(|asked| self.plan.numbers.of(&asked.key)).collect();
        let values: Vec<[Wire; 1]> =
            numbers.chunks(PROBE_LEN_MAX).map(|numbers| [Wire::Text(array(numbers))]).collect();
        let mut probes: Vec<_> =
            values.iter().map(|values| Box::pin(maybe_done(self.session.execute(&probe, values)))).collect();
        for probe in &mut probes {
            // The first poll sends it; its answer is awaited behind the SELECT's.
            let _ = poll!(probe.as_mut());
        }
        Counters::add(&self.counters.probe_statements, probes.len());
        let rows = self.execute(&select, asked).await?;
        let mut granted = HashSet::with_capacity(numbers.len());
        for mut probe in probes {
            probe.as_mut().await;
            match probe.as_mut().take_output().expect("it was awaited") {
                Ok(answers) => granted.extend(answers.iter().filter_map(granted_number)),
                Err(failure) if failure.is_lost() => return Err(failure),
                // A server without room for locks declines fills; the rows are right all the same.
                Err(_) => {}
            }
        }
        Ok((granted, rows))
    }

    /// The rows of these keys.
    async fn select(&self, asked: &[Asked]) -> Outcome<Vec<KeyedRow>> {
        let statement = self.session.prepared(&self.select_text(asked)).await?;
        self.execute(&statement, asked).await
    }

    fn select_text(&self, asked: &[Asked]) -> String {
        match asked {
            [_] => self.plan.statements.select_one(),
            _ => self.plan.statements.select_many(),
        }
    }

    async fn execute(
        &self,
        statement: &tokio_postgres::Statement,
        asked: &[Asked],
    ) -> Outcome<Vec<KeyedRow>> {
        let values = match asked {
            [one] => wires(one),
            many => arrays(many),
        };
        Counters::add(&self.counters.read_statements, 1);
        let rows = self.session.execute(statement, &values).await?;
        let keyed = |row: &Row| {
            let cells = self.plan.cells(row)?;
            Ok((self.plan.stored_key(&cells), self.plan.record(&cells)))
        };
        rows.iter().map(keyed).collect()
    }
}

/// The number of a lock that the probe got.
fn granted_number(row: &Row) -> Option<i32> {
    let granted: bool = row.try_get(1).ok()?;
    row.try_get(0).ok().filter(|_| granted)
}
