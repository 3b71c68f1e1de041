// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the threads need to know of one resource: its mapping and the texts of its statements.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;

use rusqlite::{Connection, Row};
use throughline_core::{Error, Key, Record, Result};

use super::client::run;
use super::map::{cell, error};
use super::stats::Counters;
use crate::sql::{Dialect, Lock, Mapping, Statements, Value};

/// The most keys of one SELECT is 2 to the power of one less than this, which holds 1,000.
const SIZE_COUNT: usize = 11;

/// A resource's mapping and statements.
#[derive(Debug)]
pub(super) struct Plan {
    /// The table's place in the catalogue.
    pub(super) table: usize,
    /// The database file's name, for errors.
    pub(super) file: String,
    pub(super) mapping: Mapping,
    /// Whether the table's rows may change without being written to.
    pub(super) is_hidden: bool,
    pub(super) statements: Statements,
    pub(super) delete: String,
    select: String,
    /// SELECTs of 1, 2, 4, … keys, so that few texts stay prepared whatever is asked.
    select_many: [OnceLock<String>; SIZE_COUNT],
}

/// A row as it is stored.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) key: Key,
    pub(super) record: Record,
}

impl Plan {
    pub(super) fn new(table: usize, file: String, mapping: Mapping, is_hidden: bool) -> Self {
        let statements = Statements::new(Dialect::Sqlite, &mapping);
        Self {
            table,
            file,
            select: statements.select(1, Lock::None),
            delete: statements.delete(),
            select_many: [const { OnceLock::new() }; SIZE_COUNT],
            statements,
            mapping,
            is_hidden,
        }
    }

    /// The row whose key has these values.
    pub(super) fn find(
        &self,
        operation: &'static str,
        connection: &Connection,
        values: &[Value],
        counters: &Counters,
    ) -> Result<Option<Stored>> {
        self.look(operation, connection, values, counters, |row| self.stored(row))
    }

    /// What `read` makes of the row whose key has these values.
    pub(super) fn look<T>(
        &self,
        operation: &'static str,
        connection: &Connection,
        values: &[Value],
        counters: &Counters,
        mut read: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut found = None;
        let read = |row: &Row<'_>| found = Some(read(row));
        let count =
            run(connection, &self.select, values, read).map_err(|cause| self.error(operation, cause))?;
        counters.read_statements.fetch_add(1, Ordering::Relaxed);
        counters.rows_read.fetch_add(count as u64, Ordering::Relaxed);
        found.transpose()
    }

    /// The rows of several keys, by their own keys. A row whose key no text reaches is left out.
    pub(super) fn find_many<'v>(
        &self,
        operation: &'static str,
        connection: &Connection,
        keys: impl ExactSizeIterator<Item = &'v [Value]> + Clone,
        counters: &Counters,
    ) -> Result<HashMap<Key, Record>> {
        let size = keys.len().next_power_of_two();
        let text = self.select_many[size.trailing_zeros() as usize]
            .get_or_init(|| self.statements.select(size, Lock::None));
        // The places that are left over ask for the last key again, which finds nothing twice.
        let last = keys.clone().last().into_iter().cycle().take(size - keys.len());
        let mut found = HashMap::with_capacity(keys.len());
        let read = |row: &Row<'_>| {
            if let Ok(stored) = self.stored(row) {
                found.insert(stored.key, stored.record);
            }
        };
        let count = run(connection, text, keys.chain(last).flatten(), read)
            .map_err(|cause| self.error(operation, cause))?;
        counters.read_statements.fetch_add(1, Ordering::Relaxed);
        counters.rows_read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(found)
    }

    /// A selected row.
    pub(super) fn stored(&self, row: &Row<'_>) -> Result<Stored> {
        let key = self.mapping.stored_key(|at| cell(row.get_ref_unwrap(at)))?;
        Ok(Stored { key, record: self.record(row) })
    }

    /// A selected row's record, where its key is known.
    pub(super) fn record(&self, row: &Row<'_>) -> Record {
        self.mapping.record(|at| cell(row.get_ref_unwrap(at)))
    }

    pub(super) fn error(&self, operation: &'static str, cause: rusqlite::Error) -> Error {
        error(operation, &self.file, cause)
    }
}
