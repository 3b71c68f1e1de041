// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs the statements of an order's steps within its transaction.

use mysql_async::Value as Wire;
use throughline_core::{Condition, Effect, Error, ErrorKind, Key, Refusal, Retry, Version};

use super::OPERATION;
use crate::mysql::cell::to_wire;
use crate::mysql::client::Session;
use crate::mysql::map::{Failure, statement_error};
use crate::mysql::plan::{Cells, Plan, wires};
use crate::remote::{Asked, Step};
use crate::sql::{Assignments, Kind, Lock, Value};

/// How often a put turns from UPDATE to INSERT and back, because others insert and delete the same row.
const RACE_COUNT_MAX: usize = 4;

/// Why the steps ended.
#[derive(Debug)]
pub(in crate::mysql) enum Stop {
    /// A statement failed.
    Failed(Failure),
    /// The write cannot be done.
    Refused(Error),
}

impl Stop {
    pub(in crate::mysql) fn into_error(self, plan: &Plan) -> Error {
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

pub(in crate::mysql) type Outcome<T> = std::result::Result<T, Stop>;

/// A transaction's connection and its table.
pub(in crate::mysql) struct Apply<'a> {
    session: &'a mut Session,
    plan: &'a Plan,
}

impl<'a> Apply<'a> {
    pub(in crate::mysql) fn new(session: &'a mut Session, plan: &'a Plan) -> Self {
        Self { session, plan }
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
        Ok(effects)
    }

    pub(in crate::mysql) async fn step(&mut self, step: &Step) -> Outcome<Effect> {
        match (&step.asked, &step.assignments) {
            (None, Some(assignments)) => self.create(assignments, &step.condition).await,
            (Some(asked), Some(assignments)) => self.put(asked, assignments, &step.condition).await,
            (Some(asked), None) => self.delete(asked, &step.condition).await,
            (None, None) => unreachable!("no step is made without a key and a value"),
        }
    }

    async fn create(&mut self, assignments: &Assignments, condition: &Condition) -> Outcome<Effect> {
        match condition {
            Condition::Always | Condition::Absent => {
                let inserted = self.insert(assignments).await?;
                Ok(inserted.unwrap_or(Effect::Refused(Refusal::Exists)))
            }
            Condition::Present | Condition::Unchanged(_) => Ok(Effect::Refused(Refusal::Absent)),
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
            Condition::Absent => {
                let inserted = self.insert(assignments).await?;
                Ok(inserted.unwrap_or(Effect::Refused(Refusal::Exists)))
            }
            Condition::Present => {
                if self.update(asked, assignments).await? {
                    self.stored(asked, assignments).await
                } else {
                    Ok(Effect::Refused(Refusal::Absent))
                }
            }
            Condition::Unchanged(versions) => self.compare_and_set(asked, assignments, versions).await,
        }
    }

    /// UPDATE, and INSERT when it meets nothing. When another inserts the row in between, the INSERT finds a
    /// duplicate and UPDATE comes again.
    async fn replace(&mut self, asked: &Asked, assignments: &Assignments) -> Outcome<Effect> {
        for _ in 0..RACE_COUNT_MAX {
            if self.update(asked, assignments).await? {
                return self.stored(asked, assignments).await;
            }
            if let Some(effect) = self.insert(assignments).await? {
                return Ok(effect);
            }
        }
        let detail = format!("table `{}`: the row comes and goes all the time", self.plan.name());
        Err(Error::new(ErrorKind::Timeout, OPERATION, detail).with_retry(Retry::Safe).into())
    }

    async fn compare_and_set(
        &mut self,
        asked: &Asked,
        assignments: &Assignments,
        versions: &[Version],
    ) -> Outcome<Effect> {
        // A version column lets the UPDATE compare by itself, which spares the look before it.
        if let Some(true) = self.update_unchanged(asked, assignments, versions).await? {
            return self.stored(asked, assignments).await;
        }
        if let Some(refusal) = self.refusal(asked, versions).await? {
            return Ok(Effect::Refused(refusal));
        }
        self.update(asked, assignments).await?;
        self.stored(asked, assignments).await
    }

    async fn delete(&mut self, asked: &Asked, condition: &Condition) -> Outcome<Effect> {
        match condition {
            Condition::Always | Condition::Present => self.remove(asked).await,
            Condition::Absent => {
                let exists = self.select(asked, Lock::Write).await?.is_some();
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
        let deleted =
            |key: Option<Key>| key.map_or(Effect::Refused(Refusal::Absent), |key| Effect::Deleted { key });
        if self.plan.mapping.key().is_exact() {
            let sql = self.plan.statements.delete();
            let met = self.session.run(&sql, wires(asked)).await?.met > 0;
            return Ok(deleted(met.then(|| asked.key.clone())));
        }
        let row = if self.session.flavour().delete_returns() {
            let sql = self.plan.statements.delete_returning();
            let rows = self.session.run(&sql, wires(asked)).await?.rows;
            rows.into_iter().next().map(|row| self.plan.cells(row))
        } else {
            let row = self.select(asked, Lock::Write).await?;
            if row.is_some() {
                let sql = self.plan.statements.delete();
                self.session.run(&sql, wires(asked)).await?;
            }
            row
        };
        Ok(deleted(row.map(|cells| self.key_of(&cells, asked))))
    }

    /// Why the row, which is locked by this, does not have one of `versions`.
    async fn refusal(&mut self, asked: &Asked, versions: &[Version]) -> Outcome<Option<Refusal>> {
        let Some(cells) = self.select(asked, Lock::Write).await? else {
            return Ok(Some(Refusal::Absent));
        };
        let version = self.plan.record(&cells).version;
        Ok((!versions.contains(&version)).then_some(Refusal::Conflict(version)))
    }

    /// Whether there was a row to update.
    async fn update(&mut self, asked: &Asked, assignments: &Assignments) -> Outcome<bool> {
        match self.plan.statements.update(assignments) {
            Some((sql, values)) => {
                let values = bound(values, &asked.values);
                Ok(self.session.run(&sql, values).await?.met > 0)
            }
            // The table has nothing but its key: locking the row is all that there is to do.
            None => Ok(self.select(asked, Lock::Write).await?.is_some()),
        }
    }

    /// Whether there was a row with one of `versions` to update; `None` without a version column.
    async fn update_unchanged(
        &mut self,
        asked: &Asked,
        assignments: &Assignments,
        versions: &[Version],
    ) -> Outcome<Option<bool>> {
        let Some(place) = self.plan.mapping.version_place().filter(|_| !versions.is_empty()) else {
            return Ok(None);
        };
        let statements = &self.plan.statements;
        let Some((sql, values)) = statements.update_unchanged(assignments, place, versions.len()) else {
            return Ok(None);
        };
        let unsigned =
            matches!(self.plan.mapping.table().columns[place].kind, Kind::Integer { unsigned: true, .. });
        let version = |version: &Version| match unsigned {
            true => Wire::UInt(version.0),
            // The version of a signed column is its bits.
            false => Wire::Int(version.0 as i64),
        };
        let mut values = bound(values, &asked.values);
        values.extend(versions.iter().map(version));
        Ok(Some(self.session.run(&sql, values).await?.met > 0))
    }

    /// Inserts a row; `None` when its key exists.
    async fn insert(&mut self, assignments: &Assignments) -> Outcome<Option<Effect>> {
        let returns = self.session.flavour().insert_returns();
        let (sql, values) = self.plan.statements.insert(assignments, returns);
        let answer = match self.session.run(&sql, bound(values, &[])).await {
            Ok(answer) => answer,
            Err(failure) if failure.duplicate_index() == Some("PRIMARY") => return Ok(None),
            Err(failure) => return Err(failure.into()),
        };
        let row = answer.rows.into_iter().next();
        let cells = match row.map(|row| self.plan.cells(row)) {
            Some(cells) => cells,
            None => self.read_new(assignments, answer.made_id).await?,
        };
        let Some(key) = self.plan.stored_key(&cells) else {
            let detail =
                format!("table `{}`: the new row's key is one that no key can spell", self.plan.name());
            return Err(Error::new(ErrorKind::InvalidKey, OPERATION, detail).into());
        };
        self.confirm(assignments, &cells)?;
        Ok(Some(Effect::Stored { key, record: Some(self.plan.record(&cells)), created: true }))
    }

    /// The new row of a server whose INSERT does not tell it.
    async fn read_new(&mut self, assignments: &Assignments, made_id: Option<u64>) -> Outcome<Cells> {
        let columns = self.plan.mapping.key().columns();
        let part = |(value, column): (&Option<Value>, &crate::sql::Column)| match value {
            Some(value) => Some(to_wire(value.clone())),
            None if column.auto_increment => made_id.map(Wire::UInt),
            None => None,
        };
        let values: Option<Vec<Wire>> = assignments.key.iter().zip(columns).map(part).collect();
        let row = match values {
            Some(values) => {
                let sql = self.plan.select(1, Lock::None);
                self.session.run(&sql, values).await?.rows.into_iter().next()
            }
            None => None,
        };
        row.map(|row| self.plan.cells(row)).ok_or_else(|| {
            let detail = format!(
                "table `{}`: the server does not tell the key that it made: give the key with the value",
                self.plan.name()
            );
            Error::new(ErrorKind::InvalidValue, OPERATION, detail).into()
        })
    }

    /// Reads the updated row back, under the lock of its update.
    async fn stored(&mut self, asked: &Asked, assignments: &Assignments) -> Outcome<Effect> {
        let cells = self.select(asked, Lock::None).await?;
        if let Some(cells) = &cells {
            self.confirm(assignments, cells)?;
        }
        let key = cells.as_ref().map(|cells| self.key_of(cells, asked));
        Ok(Effect::Stored {
            key: key.unwrap_or_else(|| asked.key.clone()),
            record: cells.map(|cells| self.plan.record(&cells)),
            created: false,
        })
    }

    async fn select(&mut self, asked: &Asked, lock: Lock) -> Outcome<Option<Cells>> {
        let sql = self.plan.select(1, lock);
        let rows = self.session.run(&sql, wires(asked)).await?.rows;
        Ok(rows.into_iter().next().map(|row| self.plan.cells(row)))
    }

    fn confirm(&self, assignments: &Assignments, cells: &Cells) -> throughline_core::Result<()> {
        self.plan.mapping.confirm(assignments, |at| cells.0[at].as_cell())
    }

    fn key_of(&self, cells: &Cells, asked: &Asked) -> Key {
        self.plan.stored_key(cells).unwrap_or_else(|| asked.key.clone())
    }
}

/// The values of a statement: those of its columns, then those of its key.
fn bound(values: Vec<&Value>, key: &[Value]) -> Vec<Wire> {
    values.into_iter().chain(key).map(|value| to_wire(value.clone())).collect()
}
