// SPDX-License-Identifier: MIT OR Apache-2.0
//! The texts of statements: identifiers from the catalogue, values always bound.

use super::{Assignment, Assignments, Dialect, Mapping, Value};

/// What a SELECT does about locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// Nothing.
    None,
    /// Takes the shared lock, or fails at once when a writer holds the row.
    Probe,
    /// Takes the writer's lock.
    Write,
}

/// The statements of one resource.
#[derive(Clone, Debug)]
pub struct Statements {
    dialect: Dialect,
    table: String,
    list: String,
    key: Vec<String>,
    /// What stands for the value of each of the key's columns.
    key_marks: Vec<&'static str>,
    columns: Vec<String>,
    defaults: Vec<String>,
    key_places: Vec<usize>,
}

impl Statements {
    /// The statements of `mapping` in `dialect`.
    pub fn new(dialect: Dialect, mapping: &Mapping) -> Self {
        let quoted = |name: &str| {
            let mut text = String::new();
            dialect.push_name(name, &mut text);
            text
        };
        let table = mapping.table();
        let columns: Vec<String> = table.columns.iter().map(|column| quoted(&column.name)).collect();
        let name = quoted(&table.name);
        Self {
            dialect,
            table: table
                .schema
                .as_deref()
                .map_or_else(|| name.clone(), |schema| format!("{}.{name}", quoted(schema))),
            list: mapping.selected().map(|column| quoted(&column.name)).collect::<Vec<_>>().join(", "),
            key: table.primary_key.iter().map(|place| columns[*place].clone()).collect(),
            key_marks: table.key_columns().map(|column| dialect.key_mark(&column.kind)).collect(),
            defaults: table
                .columns
                .iter()
                .map(|column| dialect.default_words(column.default.as_deref()))
                .collect(),
            columns,
            key_places: table.primary_key.clone(),
        }
    }

    /// Selects the rows of `count` keys (at least one), whose values are bound one key after the other.
    pub fn select(&self, count: usize, lock: Lock) -> String {
        let condition = self.by_keys(count);
        let lock = self.dialect.lock_words(lock);
        let index = self.dialect.key_index_words();
        format!("SELECT {} FROM {}{index} WHERE {condition}{lock}", self.list, self.table)
    }

    /// Inserts a row; with `returning` it answers like a SELECT of the row.
    pub fn insert<'a>(&self, assignments: &'a Assignments, returning: bool) -> (String, Vec<&'a Value>) {
        const FIRST_VERSION: &Value = &Value::Int(1);
        let key =
            assignments.key.iter().zip(&self.key).filter_map(|(value, name)| Some((name, value.as_ref()?)));
        let others = assignments.columns.iter().filter_map(|(place, assignment)| {
            let value = match assignment {
                Assignment::Value(value) => value,
                Assignment::NextVersion => FIRST_VERSION,
                Assignment::Default => return None,
            };
            Some((&self.columns[*place], value))
        });
        let (names, values): (Vec<&String>, Vec<&Value>) = key.chain(others).unzip();
        let given = match (names.is_empty(), self.dialect) {
            (true, Dialect::Sqlite) => "DEFAULT VALUES".into(),
            _ => {
                let names: Vec<&str> = names.into_iter().map(String::as_str).collect();
                format!("({}) VALUES ({})", names.join(", "), repeated("?", values.len()))
            }
        };
        let returning = if returning { format!(" RETURNING {}", self.list) } else { String::new() };
        (format!("INSERT INTO {} {given}{returning}", self.table), values)
    }

    /// Updates the row of a key, whose values are to be bound behind those that are returned. `None`
    /// when the table has nothing but its key, so that there is nothing to update.
    pub fn update<'a>(&self, assignments: &'a Assignments) -> Option<(String, Vec<&'a Value>)> {
        let mut values = Vec::with_capacity(assignments.columns.len());
        let mut set = Vec::with_capacity(assignments.columns.len());
        for (place, assignment) in &assignments.columns {
            debug_assert!(!self.key_places.contains(place), "a row keeps its key");
            let name = &self.columns[*place];
            set.push(match assignment {
                Assignment::Value(value) => {
                    values.push(value);
                    format!("{name} = ?")
                }
                Assignment::Default => format!("{name} = {}", self.defaults[*place]),
                Assignment::NextVersion => format!("{name} = COALESCE({name}, 0) + 1"),
            });
        }
        let text = format!("UPDATE {} SET {} WHERE {}", self.table, set.join(", "), self.by_key());
        (!set.is_empty()).then_some((text, values))
    }

    /// Updates like [`Statements::update`] if the row has one of `count` versions (at least one), which are
    /// to be bound behind the key.
    pub fn update_unchanged<'a>(
        &self,
        assignments: &'a Assignments,
        version_place: usize,
        count: usize,
    ) -> Option<(String, Vec<&'a Value>)> {
        let (text, values) = self.update(assignments)?;
        let condition = format!("{} IN ({})", self.columns[version_place], repeated("?", count));
        Some((format!("{text} AND {condition}"), values))
    }

    /// Inserts `count` rows whose assignments are like these, or, with `or_update`, updates those whose key exists.
    /// Bound are, row by row, the values of the key and those that are assigned; see [`Statements::row`]. For MySQL's
    /// dialects, and with `or_update` only where no other unique index can be met first.
    #[cfg(feature = "mysql")]
    pub(crate) fn insert_many(&self, assignments: &Assignments, count: usize, or_update: bool) -> String {
        let mut names: Vec<&str> = self.key.iter().map(String::as_str).collect();
        let mut set = Vec::with_capacity(assignments.columns.len());
        for (place, assignment) in &assignments.columns {
            let name = self.columns[*place].as_str();
            set.push(match assignment {
                Assignment::Value(_) => format!("{name} = VALUES({name})"),
                Assignment::Default => format!("{name} = DEFAULT"),
                Assignment::NextVersion => format!("{name} = COALESCE({name}, 0) + 1"),
            });
            if *assignment != Assignment::Default {
                names.push(name);
            }
        }
        let rows = repeated(&format!("({})", repeated("?", names.len())), count);
        let update =
            if or_update { format!(" ON DUPLICATE KEY UPDATE {}", set.join(", ")) } else { String::new() };
        format!("INSERT INTO {} ({}) VALUES {rows}{update}", self.table, names.join(", "))
    }

    /// The values of one row of [`Statements::insert_many`].
    #[cfg(feature = "mysql")]
    pub(crate) fn row(assignments: &Assignments) -> impl Iterator<Item = &Value> {
        const FIRST_VERSION: &Value = &Value::Int(1);
        let key = assignments.key.iter().flatten();
        key.chain(assignments.columns.iter().filter_map(|(_, assignment)| match assignment {
            Assignment::Value(value) => Some(value),
            Assignment::NextVersion => Some(FIRST_VERSION),
            Assignment::Default => None,
        }))
    }

    /// Deletes the rows of `count` keys, whose values are bound one key after the other. For MySQL's dialects: the form
    /// for several tables is the one that takes an index.
    #[cfg(feature = "mysql")]
    pub(crate) fn delete_many(&self, count: usize) -> String {
        let index = self.dialect.key_index_words();
        format!("DELETE r FROM {} AS r{index} WHERE {}", self.table, self.by_keys(count))
    }

    /// Deletes the row of a key.
    pub fn delete(&self) -> String {
        format!("DELETE FROM {} WHERE {}", self.table, self.by_key())
    }

    /// Deletes the row of a key and answers like a SELECT of it.
    pub fn delete_returning(&self) -> String {
        format!("{} RETURNING {}", self.delete(), self.list)
    }

    /// The condition on `count` keys.
    fn by_keys(&self, count: usize) -> String {
        match (count, self.key.as_slice()) {
            (1, _) => self.by_key(),
            (_, [key]) => format!("{key} IN ({})", repeated(self.key_marks[0], count)),
            (_, keys) => {
                let row = format!("({})", self.key_marks.join(", "));
                let rows = repeated(&row, count);
                let rows = if self.dialect == Dialect::Sqlite { format!("VALUES {rows}") } else { rows };
                format!("({}) IN ({rows})", keys.join(", "))
            }
        }
    }

    fn by_key(&self) -> String {
        let parts = self.key.iter().zip(&self.key_marks);
        let parts: Vec<String> = parts.map(|(key, mark)| format!("{key} = {mark}")).collect();
        parts.join(" AND ")
    }
}

fn repeated(text: &str, count: usize) -> String {
    vec![text; count].join(", ")
}
