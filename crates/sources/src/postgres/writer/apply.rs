// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs the statements of an order's steps within its transaction, then takes the locks of the keys that they
//! changed: they come last and in the order of their numbers, so nobody waits for another in a circle.

use std::collections::BTreeSet;

use futures_util::future::maybe_done;
use futures_util::poll;
use throughline_core::{Condition, Effect, Error, ErrorKind, Key, Refusal, Retry, Version};
use tokio_postgres::Row;

use super::OPERATION;
use crate::postgres::cell::Wire;
use crate::postgres::client::Session;
use crate::postgres::coupling::{LOCK, array};
use crate::postgres::map::{Failure, statement_error};
use crate::postgres::plan::{Cells, Plan, wires};
use crate::postgres::statement::{BEGIN, Bound};
use crate::remote::{Asked, Step};
use crate::sql::Assignments;

/// How often a put turns from UPDATE to INSERT and back, because others insert and delete the same row.
const RACE_COUNT_MAX: usize = 4;

/// Why the steps ended.
#[derive(Debug)]
pub(in crate::postgres) enum Stop {
    /// A statement failed.
    Failed(Failure),
    /// The write cannot be done.
    Refused(Error),
}

impl Stop {
    pub(in crate::postgres) fn into_error(self, plan: &Plan) -> Error {
        match self {
            Self::Refused(error) => error,
            Self::Failed(failure) => {
                statement_error(OPERATION, plan.name(), &failure, &|name| plan.has_name(name))
            }
        }
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

pub(in crate::postgres) type Outcome<T> = std::result::Result<T, Stop>;

/// A transaction's connection and its table.
pub(in crate::postgres) struct Apply<'a> {
    session: &'a Session,
    plan: &'a Plan,
    begun: bool,
    /// Whether there is only one step, whose statement takes its key's lock by itself.
    alone: bool,
    /// The numbers of the locks that were taken.
    held: BTreeSet<i32>,
}

impl<'a> Apply<'a> {
    pub(super) fn new(session: &'a Session, plan: &'a Plan, step_count: usize) -> Self {
        Self { session, plan, begun: false, alone: step_count == 1, held: BTreeSet::new() }
    }

    /// Runs steps within a transaction that was begun already; its owner takes the keys' locks.
    pub(in crate::postgres) fn within(session: &'a Session, plan: &'a Plan) -> Self {
        Self { session, plan, begun: true, alone: false, held: BTreeSet::new() }
    }

    /// Runs one step, without its key's lock.
    pub(in crate::postgres) async fn one(&mut self, step: &Step) -> Outcome<Effect> {
        let mut effect = self.step(step).await?;
        if self.plan.rereads {
            self.reread(std::slice::from_mut(&mut effect)).await?;
        }
        Ok(effect)
    }

    /// Runs the steps in their order, unless `is_abandoned` says between two of them that nobody waits.
    pub(super) async fn all(
        &mut self,
        steps: &[Step],
        is_abandoned: impl Fn() -> bool,
    ) -> Outcome<Vec<Effect>> {
        let mut effects = Vec::with_capacity(steps.len());
        for step in steps {
            if is_abandoned() {
                return Err(Error::new(ErrorKind::Timeout, OPERATION, "the caller left").into());
            }
            effects.push(self.step(step).await?);
        }
        self.lock(&effects).await?;
        if self.plan.rereads {
            self.reread(&mut effects).await?;
        }
        Ok(effects)
    }

    async fn step(&mut self, step: &Step) -> Outcome<Effect> {
        match (&step.asked, &step.assignments) {
            (None, Some(assignments)) => match step.condition {
                Condition::Always | Condition::Absent => self.add(None, assignments).await,
                Condition::Present | Condition::Unchanged(_) => Ok(Effect::Refused(Refusal::Absent)),
            },
            (Some(asked), Some(assignments)) => self.put(asked, assignments, &step.condition).await,
            (Some(asked), None) => self.delete(asked, &step.condition).await,
            (None, None) => unreachable!("no step is made without a key and a value"),
        }
    }

    async fn put(
        &mut self,
        asked: &Asked,
        assignments: &Assignments,
        condition: &Condition,
    ) -> Outcome<Effect> {
        match condition {
            Condition::Always => self.replace(asked, assignments).await,
            Condition::Absent => self.add(Some(asked), assignments).await,
            Condition::Present => {
                let updated = self.update(asked, assignments, None).await?;
                Ok(updated.unwrap_or(Effect::Refused(Refusal::Absent)))
            }
            Condition::Unchanged(versions) => self.compare_and_set(asked, assignments, versions).await,
        }
    }

    /// UPDATE, and INSERT when it meets nothing. When another inserts the row in between, the INSERT meets it
    /// and UPDATE comes again.
    async fn replace(&mut self, asked: &Asked, assignments: &Assignments) -> Outcome<Effect> {
        for _ in 0..RACE_COUNT_MAX {
            if let Some(effect) = self.update(asked, assignments, None).await? {
                return Ok(effect);
            }
            if let Some(effect) = self.insert(Some(asked), assignments).await? {
                return Ok(effect);
            }
        }
        let detail = format!("table `{}`: the row comes and goes all the time", self.plan.name());
        Err(Error::new(ErrorKind::Timeout, OPERATION, detail).with_retry(Retry::Safe).into())
    }

    async fn add(&mut self, asked: Option<&Asked>, assignments: &Assignments) -> Outcome<Effect> {
        let inserted = self.insert(asked, assignments).await?;
        Ok(inserted.unwrap_or(Effect::Refused(Refusal::Exists)))
    }

    async fn compare_and_set(
        &mut self,
        asked: &Asked,
        assignments: &Assignments,
        versions: &[Version],
    ) -> Outcome<Effect> {
        // A version column lets the UPDATE compare by itself, which spares the look before it. The version of a
        // column is its bits.
        let numbers: Vec<i64> = versions.iter().map(|version| version.0 as i64).collect();
        if let Some(place) = self.plan.mapping.version_place().filter(|_| !versions.is_empty())
            && let Some(effect) = self.update(asked, assignments, Some((place, &numbers))).await?
        {
            return Ok(effect);
        }
        if let Some(refusal) = self.refusal(asked, versions).await? {
            return Ok(Effect::Refused(refusal));
        }
        let updated = self.update(asked, assignments, None).await?;
        Ok(updated.unwrap_or(Effect::Refused(Refusal::Absent)))
    }

    async fn delete(&mut self, asked: &Asked, condition: &Condition) -> Outcome<Effect> {
        match condition {
            Condition::Always | Condition::Present => self.remove(asked).await,
            Condition::Absent => {
                let exists = self.select_locked(asked).await?.is_some();
                Ok(Effect::Refused(if exists { Refusal::Exists } else { Refusal::Absent }))
            }
            Condition::Unchanged(versions) => match self.refusal(asked, versions).await? {
                Some(refusal) => Ok(Effect::Refused(refusal)),
                None => self.remove(asked).await,
            },
        }
    }

    /// Deletes the row and tells its own key.
    async fn remove(&mut self, asked: &Asked) -> Outcome<Effect> {
        let number = self.number_of(Some(asked));
        let row = self.change(self.plan.statements.delete(&wires(asked), number), number).await?;
        Ok(match row {
            Some(cells) => Effect::Deleted { key: self.key_of(&cells, asked) },
            None => Effect::Refused(Refusal::Absent),
        })
    }

    /// Why the row, which is locked by this, does not have one of `versions`.
    async fn refusal(&mut self, asked: &Asked, versions: &[Version]) -> Outcome<Option<Refusal>> {
        let Some(cells) = self.select_locked(asked).await? else {
            return Ok(Some(Refusal::Absent));
        };
        let version = self.plan.record(&cells).version;
        Ok((!versions.contains(&version)).then_some(Refusal::Conflict(version)))
    }

    /// Updates the row; `None` when there is none, or none with one of `versions`.
    async fn update(
        &mut self,
        asked: &Asked,
        assignments: &Assignments,
        versions: Option<(usize, &[i64])>,
    ) -> Outcome<Option<Effect>> {
        let number = self.number_of(Some(asked));
        let cells = match self.plan.statements.update(assignments, &wires(asked), versions, number) {
            Some(bound) => self.change(bound, number).await?,
            // The table has nothing but its key: locking the row is all that there is to do.
            None => self.select_locked(asked).await?,
        };
        let Some(cells) = cells else { return Ok(None) };
        self.confirm(assignments, &cells)?;
        let record = Some(self.plan.record(&cells));
        Ok(Some(Effect::Stored { key: self.key_of(&cells, asked), record, created: false }))
    }

    /// Inserts a row; `None` when its key exists.
    async fn insert(&mut self, asked: Option<&Asked>, assignments: &Assignments) -> Outcome<Option<Effect>> {
        let number = self.number_of(asked);
        let Some(cells) = self.change(self.plan.statements.insert(assignments, number), number).await? else {
            return Ok(None);
        };
        let Some(key) = self.plan.stored_key(&cells) else {
            let detail =
                format!("table `{}`: the new row's key is one that no key can spell", self.plan.name());
            return Err(Error::new(ErrorKind::InvalidKey, OPERATION, detail).into());
        };
        self.confirm(assignments, &cells)?;
        Ok(Some(Effect::Stored { key, record: Some(self.plan.record(&cells)), created: true }))
    }

    async fn select_locked(&mut self, asked: &Asked) -> Outcome<Option<Cells>> {
        let rows = self.run(&self.plan.statements.select_locked(), &wires(asked)).await?;
        Ok(rows.first().map(|row| self.plan.cells(row)).transpose()?)
    }

    /// Runs a statement that changes at most one row, and takes the lock of `number` if it does.
    async fn change(&mut self, (sql, values): Bound, number: Option<i32>) -> Outcome<Option<Cells>> {
        let rows = self.run(&sql, &values).await?;
        let cells = rows.first().map(|row| self.plan.cells(row)).transpose()?;
        if cells.is_some() {
            self.held.extend(number);
        }
        Ok(cells)
    }

    /// Takes the locks of the keys that were changed and are not held yet.
    async fn lock(&mut self, effects: &[Effect]) -> Outcome<()> {
        let changed = effects.iter().filter_map(|effect| match effect {
            Effect::Stored { key, .. } | Effect::Deleted { key } => Some(self.plan.numbers.of(key)),
            Effect::Accepted { .. } | Effect::Refused(_) => None,
        });
        let missing: BTreeSet<i32> = changed.filter(|number| !self.held.contains(number)).collect();
        if !missing.is_empty() {
            let numbers: Vec<i32> = missing.into_iter().collect();
            self.run(LOCK, &[Wire::Text(array(&numbers))]).await?;
        }
        Ok(())
    }

    /// Reads the rows once more, because triggers may have changed them after they were answered.
    async fn reread(&mut self, effects: &mut [Effect]) -> Outcome<()> {
        for effect in effects {
            if let Effect::Stored { key, record, .. } = effect {
                let asked = self.plan.asked(key)?;
                let rows = self.run(&self.plan.statements.select_one(), &wires(&asked)).await?;
                let cells = rows.first().map(|row| self.plan.cells(row)).transpose()?;
                *record = cells.map(|cells| self.plan.record(&cells));
            }
        }
        Ok(())
    }

    /// Runs a statement; the first one brings BEGIN with it.
    async fn run(&mut self, sql: &str, values: &[Wire]) -> std::result::Result<Vec<Row>, Failure> {
        let statement = self.session.prepared(sql).await?;
        self.session.count_round_trip();
        if self.begun {
            return self.session.execute(&statement, values).await;
        }
        self.begun = true;
        let mut begin = Box::pin(maybe_done(self.session.command(BEGIN)));
        // The first poll sends it; its answer comes before the statement's.
        let _ = poll!(begin.as_mut());
        let rows = self.session.execute(&statement, values).await;
        begin.as_mut().await;
        begin.as_mut().take_output().expect("it was awaited")?;
        rows
    }

    /// The number of the lock that a statement for `asked` takes by itself: the only step's, if its key is surely
    /// the row's.
    fn number_of(&self, asked: Option<&Asked>) -> Option<i32> {
        let asked = asked.filter(|_| self.alone && self.plan.mapping.key().is_exact())?;
        Some(self.plan.numbers.of(&asked.key))
    }

    fn confirm(&self, assignments: &Assignments, cells: &Cells) -> throughline_core::Result<()> {
        self.plan.mapping.confirm(assignments, |at| cells.0[at].as_cell())
    }

    fn key_of(&self, cells: &Cells, asked: &Asked) -> Key {
        self.plan.stored_key(cells).unwrap_or_else(|| asked.key.clone())
    }
}
