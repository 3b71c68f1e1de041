// SPDX-License-Identifier: MIT OR Apache-2.0
//! The texts of statements: identifiers from the catalogue, values always bound.
//!
//! Every column but those of bytes is selected as text, and every value is bound as text, so that the server's own
//! reading and writing of each type is used. Keys are compared by the very operator of the primary key's index,
//! whatever the account's `search_path` hides or shows.

use std::fmt::Write as _;

use super::cell::{Wire, to_wire};
use super::coupling::LOCK_CLASS;
use crate::sql::{Assignment, Assignments, Kind, Mapping, Value};

/// Begins a transaction and notes in it that it was begun.
///
/// It is sent without waiting for its answer in front of the first statement. Should it alone fail (the server can
/// cancel it at a time limit), that statement would be a transaction of its own, committed before any mark. So
/// every statement that changes something also reads the note, and fails where there is none.
pub(super) const BEGIN: &str =
    "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL throughline.begun = 1";

const WAS_BEGUN: &str = "pg_catalog.current_setting('throughline.begun')::pg_catalog.int4";

/// Writes `name` as an identifier.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A column of the key, as it is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyPart {
    /// `OPERATOR(pg_catalog.=)`.
    pub(super) equals: String,
    /// The type of what it is compared with: `pg_catalog.int8`.
    pub(super) type_name: String,
}

/// A statement and its values.
pub(super) type Bound = (String, Vec<Wire>);

/// The statements of one resource.
#[derive(Debug)]
pub(super) struct Statements {
    table: String,
    /// What a SELECT lists.
    list: String,
    columns: Vec<String>,
    /// The names of the key's columns.
    key: Vec<String>,
    parts: Vec<KeyPart>,
    /// The types of the columns, where there are arrays of them.
    types: Vec<Option<String>>,
    key_places: Vec<usize>,
}

impl Statements {
    /// The statements of `mapping` on the table `schema.name`; `types` are its columns'.
    pub(super) fn new(
        mapping: &Mapping,
        schema: &str,
        name: &str,
        parts: Vec<KeyPart>,
        types: Vec<Option<String>>,
    ) -> Self {
        let shown = |column: &crate::sql::Column| {
            let name = quoted(&column.name);
            match &column.kind {
                Kind::Bytes { .. } => format!("r.{name}"),
                _ => format!("r.{name}::pg_catalog.text"),
            }
        };
        let table = mapping.table();
        Self {
            table: format!("{}.{} AS r", quoted(schema), quoted(name)),
            list: mapping.selected().map(shown).collect::<Vec<_>>().join(", "),
            columns: table.columns.iter().map(|column| quoted(&column.name)).collect(),
            key: table.key_columns().map(|column| quoted(&column.name)).collect(),
            parts,
            types,
            key_places: table.primary_key.clone(),
        }
    }

    /// Selects the row of one key.
    pub(super) fn select_one(&self) -> String {
        format!("SELECT {} FROM {} WHERE {}", self.list, self.table, self.by_key(1))
    }

    /// Selects the row of one key and takes its lock.
    pub(super) fn select_locked(&self) -> String {
        format!("{} FOR UPDATE", self.select_one())
    }

    /// Selects the rows of many keys, which are bound as an array for each of the key's columns.
    pub(super) fn select_many(&self) -> String {
        if let ([name], [part]) = (self.key.as_slice(), self.parts.as_slice()) {
            let condition = format!("r.{name} {} ANY ($1::{}[])", part.equals, part.type_name);
            return format!("SELECT {} FROM {} WHERE {condition}", self.list, self.table);
        }
        let (asked, condition) = self.by_keys();
        format!("SELECT {} FROM {asked} JOIN {} ON {condition}", self.list, self.table)
    }

    /// What stands for many keys, and the condition that a row has one of them.
    fn by_keys(&self) -> (String, String) {
        let places = 1..=self.parts.len();
        let arrays: Vec<String> = places
            .clone()
            .zip(&self.parts)
            .map(|(n, part)| format!("pg_catalog.unnest(${n}::{}[])", part.type_name))
            .collect();
        let names: Vec<String> = places.clone().map(|n| format!("k{n}")).collect();
        let conditions: Vec<String> = places
            .zip(self.key.iter().zip(&self.parts))
            .map(|(n, (name, part))| format!("r.{name} {} asked.k{n}", part.equals))
            .collect();
        let asked = format!("ROWS FROM ({}) AS asked ({})", arrays.join(", "), names.join(", "));
        (asked, conditions.join(" AND "))
    }

    /// Deletes the rows of many keys, which are bound as an array for each of the key's columns.
    pub(super) fn delete_many(&self) -> String {
        let (asked, condition) = self.by_keys();
        format!("DELETE FROM {} USING {asked} WHERE {condition} RETURNING {WAS_BEGUN}", self.table)
    }

    /// Inserts many rows whose assignments are like these, or updates those whose key exists, and answers like a
    /// SELECT of them. Bound is an array for each column of the key, and for each that is assigned a value. `None` where
    /// there are no arrays of a column's type.
    ///
    /// It meets no other unique index: what would collide there is an error.
    pub(super) fn upsert_many(&self, assignments: &Assignments) -> Option<String> {
        let mut names: Vec<&str> = self.key.iter().map(String::as_str).collect();
        let mut places = self.key_places.clone();
        let mut set = Vec::with_capacity(assignments.columns.len());
        let mut first = None;
        for (place, assignment) in &assignments.columns {
            let name = self.columns[*place].as_str();
            set.push(match assignment {
                Assignment::Value(_) => {
                    names.push(name);
                    places.push(*place);
                    format!("{name} = EXCLUDED.{name}")
                }
                Assignment::Default => format!("{name} = DEFAULT"),
                Assignment::NextVersion => {
                    first = Some(name);
                    format!("{name} = COALESCE(r.{name}, 0) + 1")
                }
            });
        }
        let array = |(at, place): (usize, &usize)| {
            let type_name = self.types[*place].as_ref()?;
            Some(format!("pg_catalog.unnest(${}::{type_name}[])", at + 1))
        };
        let arrays: Vec<String> = places.iter().enumerate().map(array).collect::<Option<_>>()?;
        let version = if first.is_some() { ", 1" } else { "" };
        names.extend(first);
        Some(format!(
            "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT given.*{version} FROM ROWS FROM ({}) AS given \
             ON CONFLICT ({}) DO UPDATE SET {} RETURNING {}, {WAS_BEGUN}",
            self.table,
            names.join(", "),
            arrays.join(", "),
            self.key.join(", "),
            set.join(", "),
            self.list
        ))
    }

    /// Inserts a row unless its key exists, and answers like a SELECT of it. The lock of the key's number is
    /// taken as well where there is one.
    pub(super) fn insert(&self, assignments: &Assignments, number: Option<i32>) -> Bound {
        let mut values = Vec::new();
        let mut names: Vec<&str> = Vec::new();
        for (value, name) in assignments.key.iter().zip(&self.key) {
            if let Some(value) = value {
                names.push(name);
                values.push(to_wire(value));
            }
        }
        for (place, assignment) in &assignments.columns {
            let value = match assignment {
                Assignment::Value(value) => to_wire(value),
                Assignment::NextVersion => to_wire(&Value::Int(1)),
                Assignment::Default => continue,
            };
            names.push(&self.columns[*place]);
            values.push(value);
        }
        let given = if names.is_empty() {
            "DEFAULT VALUES".to_owned()
        } else {
            let marks: Vec<String> = (1..=values.len()).map(|n| format!("${n}")).collect();
            // A key that is given counts, also where the database would make one.
            format!("({}) OVERRIDING SYSTEM VALUE VALUES ({})", names.join(", "), marks.join(", "))
        };
        let returning = self.returning(number, &mut values);
        let key = self.key.join(", ");
        (format!("INSERT INTO {} {given} ON CONFLICT ({key}) DO NOTHING {returning}", self.table), values)
    }

    /// Updates the row of `key` and answers like a SELECT of it; `None` when the table has nothing but its key, so
    /// that there is nothing to update. With `versions` (the version column's place and those that are allowed) it
    /// updates only if the row has one of them.
    pub(super) fn update(
        &self,
        assignments: &Assignments,
        key: &[Wire],
        versions: Option<(usize, &[i64])>,
        number: Option<i32>,
    ) -> Option<Bound> {
        let mut values = Vec::new();
        let mut set = Vec::with_capacity(assignments.columns.len());
        for (place, assignment) in &assignments.columns {
            let name = &self.columns[*place];
            set.push(match assignment {
                Assignment::Value(value) => {
                    values.push(to_wire(value));
                    format!("{name} = ${}", values.len())
                }
                Assignment::Default => format!("{name} = DEFAULT"),
                Assignment::NextVersion => format!("{name} = COALESCE(r.{name}, 0) + 1"),
            });
        }
        if set.is_empty() {
            return None;
        }
        let mut condition = self.by_key(values.len() + 1);
        values.extend_from_slice(key);
        if let Some((place, versions)) = versions {
            let allowed: Vec<String> = versions.iter().map(i64::to_string).collect();
            values.push(Wire::Text(format!("{{{}}}", allowed.join(","))));
            write!(condition, " AND r.{} = ANY (${}::pg_catalog.int8[])", self.columns[place], values.len())
                .expect("writing to a string does not fail");
        }
        let returning = self.returning(number, &mut values);
        Some((format!("UPDATE {} SET {} WHERE {condition} {returning}", self.table, set.join(", ")), values))
    }

    /// Deletes the row of `key` and answers like a SELECT of it.
    pub(super) fn delete(&self, key: &[Wire], number: Option<i32>) -> Bound {
        let mut values = key.to_vec();
        let returning = self.returning(number, &mut values);
        (format!("DELETE FROM {} WHERE {} {returning}", self.table, self.by_key(1)), values)
    }

    /// What a statement that changes a row answers, evaluated for each such row when its lock is held.
    fn returning(&self, number: Option<i32>, values: &mut Vec<Wire>) -> String {
        let mut text = format!("RETURNING {}, {WAS_BEGUN}", self.list);
        if let Some(number) = number {
            values.push(Wire::Text(number.to_string()));
            write!(
                text,
                ", pg_catalog.pg_advisory_xact_lock({LOCK_CLASS}, ${}::pg_catalog.int4)",
                values.len()
            )
            .expect("writing to a string does not fail");
        }
        text
    }

    /// The condition on the key, whose values are bound from `first` on.
    fn by_key(&self, first: usize) -> String {
        let part = |(at, (name, part)): (usize, (&String, &KeyPart))| {
            format!("r.{name} {} ${}::{}", part.equals, first + at, part.type_name)
        };
        self.key.iter().zip(&self.parts).enumerate().map(part).collect::<Vec<_>>().join(" AND ")
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_quote_in_a_name_stays_in_the_name() {
        assert_eq!(quoted("a\"; DROP TABLE b; --"), "\"a\"\"; DROP TABLE b; --\"");
    }
}
