// SPDX-License-Identifier: MIT OR Apache-2.0
//! Applies one write within the writer's transaction.
//!
//! The row is looked up first: nobody else can write while the transaction lasts, so what it shows decides
//! the condition, and whether the row is updated in place or inserted. `REPLACE` and `ON CONFLICT` are
//! not used: they would touch other rows through other unique indexes and fire the triggers of a delete.

use rusqlite::Connection;
use throughline_core::{Change, Condition, Effect, Error, ErrorKind, Key, Refusal, Result, Target, Write};
use uuid::Uuid;

use super::client::run;
use super::map::cell;
use super::plan::{Plan, Stored};
use super::stats::Counters;
use crate::sql::{Assignments, Value};

pub(super) const WRITE: &str = "write a row";

/// A write whose value was read already.
#[derive(Debug)]
pub(super) struct Step {
    /// The key's values; `None` for a new row.
    pub(super) key: Option<Vec<Value>>,
    /// What the row becomes; `None` to delete it.
    pub(super) row: Option<Assignments>,
    pub(super) condition: Condition,
}

impl Plan {
    /// Reads a write.
    pub(super) fn step(&self, write: &Write) -> Result<Step> {
        let mapping = &self.mapping;
        let (key, row) = match (&write.target, &write.change) {
            (Target::Key(key), Change::Delete) => (Some(mapping.key().read(key)?.0), None),
            (Target::Key(key), Change::Put { value, flags }) => {
                let row = mapping.replace(key, value, *flags)?;
                (Some(mapping.key().read(key)?.0), Some(row))
            }
            (Target::New, Change::Delete) => (None, None),
            (Target::New, Change::Put { value, flags }) => {
                let row = mapping.create(value, *flags, Uuid::now_v7())?;
                return Ok(Step {
                    // A new record never replaces one, whatever the condition.
                    condition: match write.condition {
                        Condition::Always => Condition::Absent,
                        _ => write.condition.clone(),
                    },
                    key: row.key.iter().cloned().collect(),
                    row: Some(row),
                });
            }
        };
        Ok(Step { key, row, condition: write.condition.clone() })
    }

    pub(super) fn apply(&self, connection: &Connection, step: &Step, counters: &Counters) -> Result<Effect> {
        let stored = match &step.key {
            Some(key) => self.find(WRITE, connection, key, counters)?,
            None => None,
        };
        if let Some(refusal) = refusal(&step.condition, stored.as_ref()) {
            return Ok(Effect::Refused(refusal));
        }
        match (&step.row, stored) {
            (None, None) => Ok(Effect::Refused(Refusal::Absent)),
            (None, Some(stored)) => self.delete(connection, step, stored),
            (Some(row), Some(stored)) => {
                self.update(connection, step, row)?;
                self.written(connection, row, stored.key, false, counters)
            }
            (Some(row), None) => {
                let key = self.insert(connection, row)?;
                self.written(connection, row, key, true, counters)
            }
        }
    }

    fn delete(&self, connection: &Connection, step: &Step, stored: Stored) -> Result<Effect> {
        let key = step.key.iter().flatten();
        run(connection, &self.delete, key, |_| ()).map_err(|cause| self.error(WRITE, cause))?;
        self.took_place(connection)?;
        Ok(Effect::Deleted { key: stored.key })
    }

    fn update(&self, connection: &Connection, step: &Step, row: &Assignments) -> Result<()> {
        let Some((text, values)) = self.statements.update(row) else {
            return Ok(());
        };
        let values = values.into_iter().chain(step.key.iter().flatten());
        run(connection, &text, values, |_| ()).map_err(|cause| self.error(WRITE, cause))?;
        self.took_place(connection)
    }

    /// Inserts the row and returns its key as it was stored.
    fn insert(&self, connection: &Connection, row: &Assignments) -> Result<Key> {
        let (text, values) = self.statements.insert(row, true);
        let mut stored = None;
        run(connection, &text, values, |row| stored = Some(self.stored(row)))
            .map_err(|cause| self.error(WRITE, cause))?;
        stored.unwrap_or_else(|| Err(self.ignored())).map(|stored| stored.key)
    }

    /// The effect of a put: the row is read back, because defaults, affinities and triggers changed it.
    fn written(
        &self,
        connection: &Connection,
        row: &Assignments,
        key: Key,
        created: bool,
        counters: &Counters,
    ) -> Result<Effect> {
        let (values, _) = self.mapping.key().read(&key)?;
        let stored = self.look(WRITE, connection, &values, counters, |read| {
            self.mapping.confirm(row, |at| cell(read.get_ref_unwrap(at)))?;
            self.stored(read)
        })?;
        Ok(Effect::Stored { key, record: stored.map(|stored| stored.record), created })
    }

    fn took_place(&self, connection: &Connection) -> Result<()> {
        if connection.changes() == 0 { Err(self.ignored()) } else { Ok(()) }
    }

    /// A trigger may say `RAISE(IGNORE)`, and then the statement succeeds and does nothing.
    fn ignored(&self) -> Error {
        let detail = format!("`{}`: a trigger ignored the write", self.file);
        Error::new(ErrorKind::Constraint, WRITE, detail)
    }
}

fn refusal(condition: &Condition, stored: Option<&Stored>) -> Option<Refusal> {
    match (condition, stored) {
        (Condition::Always, _) | (Condition::Absent, None) | (Condition::Present, Some(_)) => None,
        (Condition::Absent, Some(_)) => Some(Refusal::Exists),
        (Condition::Present | Condition::Unchanged(_), None) => Some(Refusal::Absent),
        (Condition::Unchanged(versions), Some(stored)) => {
            let version = stored.record.version;
            (!versions.contains(&version)).then_some(Refusal::Conflict(version))
        }
    }
}
