// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the workers must know of a resource's table.

use std::sync::atomic::{AtomicBool, Ordering};

use mysql_async::{Row, Value as Wire};
use throughline_core::{Error, ErrorKind, Key, Record, Result, Write};
use uuid::Uuid;

use super::cell::{from_wire, to_wire};
use crate::remote::drain::DrainPlan;
use crate::remote::{Asked, Step};
use crate::sql::{Lock, Mapping, Statements, Value};

/// A table's mapping with its statements.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) mapping: Mapping,
    pub(super) statements: Statements,
    /// Why transactions and row locks cannot be relied on, if they cannot.
    pub(super) obstacle: Option<String>,
    /// The last character that each column of the key can hold, where it is less than Unicode's.
    pub(super) key_chars_max: Vec<Option<char>>,
    /// Whether its rows may change without being written to.
    pub(super) is_hidden: bool,
    /// The names of the table's unique indexes.
    pub(super) unique_indexes: Vec<String>,
    /// Whether the server refused a look-up its lock, for want of a right.
    pub(super) lock_denied: AtomicBool,
}

impl DrainPlan for Plan {
    fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    fn step(&self, write: &Write) -> Result<Step> {
        Self::step(self, write)
    }
}

/// The values of one key as the server takes them.
pub(super) fn wires(asked: &Asked) -> Vec<Wire> {
    asked.values.iter().cloned().map(to_wire).collect()
}

/// A row's cells, in the order of the mapping's selection.
#[derive(Debug)]
pub(super) struct Cells(pub(super) Vec<Value>);

impl Plan {
    pub(super) fn name(&self) -> &str {
        &self.mapping.table().name
    }

    /// Whether `name` is a column or a unique index of the table, and so may be shown.
    pub(super) fn has_name(&self, name: &str) -> bool {
        let table = self.mapping.table();
        table.columns.iter().any(|column| column.name == name)
            || self.unique_indexes.iter().any(|index| index == name)
    }

    /// Refuses to write a table whose transactions and locks cannot be relied on.
    pub(super) fn refuse_obstacle(&self) -> Result<()> {
        let Some(obstacle) = &self.obstacle else { return Ok(()) };
        let detail = format!("table `{}`: {obstacle}", self.name());
        Err(Error::new(ErrorKind::ReadOnly, "write a row", detail))
    }

    /// Whether several rows may be written by one statement.
    pub(super) fn writes_runs(&self) -> bool {
        self.mapping.key().is_exact() && !self.is_hidden && !self.mapping.table().has_foreign_triggers()
    }

    /// Whether locks can be probed.
    pub(super) fn can_probe(&self) -> bool {
        !self.lock_denied.load(Ordering::Relaxed)
    }

    /// Reads a key.
    ///
    /// # Errors
    /// As [`crate::sql::KeyMap::read`].
    pub(super) fn asked(&self, key: &Key) -> Result<Asked> {
        let (values, canonical) = self.mapping.key().read(key)?;
        for (value, max) in values.iter().zip(&self.key_chars_max) {
            if let (Value::Text(text), Some(max)) = (value, max)
                && text.chars().any(|char| char > *max)
            {
                // The server would compare every row with it, or refuse the statement.
                let detail = format!("table `{}`: its key's character set lacks a character", self.name());
                return Err(Error::new(ErrorKind::InvalidKey, "read a key", detail));
            }
        }
        Ok(Asked::new(key, values, canonical))
    }

    /// Reads a write.
    ///
    /// # Errors
    /// As [`Step::new`].
    pub(super) fn step(&self, write: &Write) -> Result<Step> {
        Step::new(&self.mapping, |key| self.asked(key), write, Uuid::now_v7())
    }

    /// The statement that reads `count` keys.
    pub(super) fn select(&self, count: usize, lock: Lock) -> String {
        self.statements.select(count, lock)
    }

    /// The cells of a row that such a statement returned.
    pub(super) fn cells(&self, row: Row) -> Cells {
        let columns = row.columns();
        let digits = columns.iter().map(|column| column.decimals());
        let kinds = self.mapping.selected().map(|column| &column.kind);
        let cells = row.unwrap().into_iter().zip(kinds).zip(digits);
        Cells(cells.map(|((wire, kind), digits)| from_wire(wire, kind, digits)).collect())
    }

    /// The record of a row.
    pub(super) fn record(&self, cells: &Cells) -> Record {
        self.mapping.record(|at| cells.0[at].as_cell())
    }

    /// The row's own key; `None` when it is one that no key can spell.
    pub(super) fn stored_key(&self, cells: &Cells) -> Option<Key> {
        self.mapping.stored_key(|at| cells.0[at].as_cell()).ok()
    }
}
