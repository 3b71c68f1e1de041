// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the workers must know of a resource's table.

use throughline_core::{Error, ErrorKind, Key, Record, Result, Write};
use tokio_postgres::Row;
use uuid::Uuid;

use super::cell::{Wire, from_row, to_wire};
use super::coupling::LockNumbers;
use super::map::Failure;
use super::statement::Statements;
use crate::remote::drain::DrainPlan;
use crate::remote::{Asked, Step};
use crate::sql::{Assignment, Assignments, Mapping, Value, push_quoted, text_of_value};

/// A table's mapping with its statements.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) mapping: Mapping,
    pub(super) statements: Statements,
    pub(super) numbers: LockNumbers,
    /// Why it cannot be written safely, if it cannot.
    pub(super) write_obstacle: Option<String>,
    /// Why what it shows may change without a write to it, if it may.
    pub(super) strict_obstacle: Option<String>,
    /// Whether the account may insert, update and delete.
    pub(super) may_write: bool,
    /// Whether a row must be read once more behind the statement that changed it.
    pub(super) rereads: bool,
    /// Whether its rows may change without being written to.
    pub(super) is_hidden: bool,
    /// The names of the table's constraints.
    pub(super) constraints: Vec<String>,
}

/// The values of one key as the server takes them.
pub(super) fn wires(asked: &Asked) -> Vec<Wire> {
    asked.values.iter().map(to_wire).collect()
}

/// The values of many keys, an array for each of the key's columns.
pub(super) fn arrays(asked: &[Asked]) -> Vec<Wire> {
    let count = asked.first().map_or(0, |asked| asked.values.len());
    (0..count).map(|place| array(asked.iter().map(|asked| &asked.values[place]))).collect()
}

/// Values as one array.
pub(super) fn array<'v>(values: impl Iterator<Item = &'v Value>) -> Wire {
    let mut array = String::from("{");
    for (at, value) in values.enumerate() {
        if at > 0 {
            array.push(',');
        }
        match text_of_value(value) {
            Some(text) => push_quoted(&text, &mut array),
            None => array.push_str("NULL"),
        }
    }
    array.push('}');
    Wire::Text(array)
}

impl DrainPlan for Plan {
    fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    fn step(&self, write: &Write) -> Result<Step> {
        Self::step(self, write)
    }
}

/// A row's cells, in the order of the mapping's selection.
#[derive(Debug)]
pub(super) struct Cells(pub(super) Vec<Value>);

impl Plan {
    pub(super) fn name(&self) -> &str {
        &self.mapping.table().name
    }

    /// Whether `name` is a column or a constraint of the table, and so may be shown.
    pub(super) fn has_name(&self, name: &str) -> bool {
        let table = self.mapping.table();
        table.columns.iter().any(|column| column.name == name)
            || self.constraints.iter().any(|constraint| constraint == name)
    }

    /// Refuses to write a table whose writes cannot be told.
    pub(super) fn refuse_obstacle(&self) -> Result<()> {
        let Some(obstacle) = &self.write_obstacle else { return Ok(()) };
        let detail = format!("table `{}`: {obstacle}", self.name());
        Err(Error::new(ErrorKind::ReadOnly, "write a row", detail))
    }

    /// Whether several rows may be written by one statement.
    pub(super) fn writes_runs(&self) -> bool {
        self.mapping.key().is_exact() && !self.is_hidden && !self.mapping.table().has_foreign_triggers()
    }

    /// Reads a key.
    ///
    /// # Errors
    /// As [`crate::sql::KeyMap::read`].
    pub(super) fn asked(&self, key: &Key) -> Result<Asked> {
        let (values, canonical) = self.mapping.key().read(key)?;
        if values.iter().any(holds_zero) {
            let detail = format!("table `{}`: PostgreSQL's text has no character U+0000", self.name());
            return Err(Error::new(ErrorKind::InvalidKey, "read a key", detail));
        }
        Ok(Asked::new(key, values, canonical))
    }

    /// Reads a write.
    ///
    /// # Errors
    /// As [`Step::new`].
    pub(super) fn step(&self, write: &Write) -> Result<Step> {
        let step = Step::new(&self.mapping, |key| self.asked(key), write, Uuid::now_v7())?;
        if let Some(assignments) = &step.assignments {
            self.refuse_zero(assignments)?;
        }
        Ok(step)
    }

    /// The server would refuse the character U+0000 too, but could not say in which column it stands.
    fn refuse_zero(&self, assignments: &Assignments) -> Result<()> {
        let table = self.mapping.table();
        let zero = |value: &Assignment| matches!(value, Assignment::Value(value) if holds_zero(value));
        let column = assignments.columns.iter().find(|(_, value)| zero(value)).map(|(place, _)| *place);
        let key = assignments.key.iter().position(|value| value.as_ref().is_some_and(holds_zero));
        match column.or_else(|| key.map(|at| table.primary_key[at])) {
            Some(place) => {
                let name = &table.columns[place].name;
                let detail = format!("table `{}`: column `{name}` takes no character U+0000", self.name());
                Err(Error::new(ErrorKind::InvalidValue, "write a row", detail))
            }
            None => Ok(()),
        }
    }

    /// The cells of a row that one of the statements returned.
    ///
    /// # Errors
    /// When the table was altered so that they are no longer what they were.
    pub(super) fn cells(&self, row: &Row) -> std::result::Result<Cells, Failure> {
        let kinds = self.mapping.selected().map(|column| &column.kind);
        let cells = kinds.enumerate().map(|(place, kind)| from_row(row, place, kind));
        cells.collect::<std::result::Result<_, _>>().map(Cells).map_err(|_| Failure::altered())
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

/// Whether it holds the one character that the server refuses.
pub(super) fn holds_zero(value: &Value) -> bool {
    matches!(value, Value::Text(text) if text.contains('\0'))
}
