// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a value as users send it to what a row's columns become.
//!
//! A put replaces the record: what is shown and omitted gets its default or null. A column that is not
//! shown keeps its value, because whoever cannot see it cannot mean to change it.

use std::fmt;

use bytes::Bytes;
use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use throughline_core::{Error, ErrorKind, Key, Result};
use uuid::Uuid;

use super::json::write_cell;
use super::mapping::Shape;
use super::read::{read_cell, takes};
use super::{Cell, Column, Kind, Mapping, Value};

const READ: &str = "read a value";
/// How much of an unknown column's name an error repeats.
const NAME_LEN_MAX: usize = 64;

/// What becomes of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Assignment {
    /// This value.
    Value(Value),
    /// Its default, or null.
    Default,
    /// One more than it was; 1 in a new row.
    NextVersion,
}

/// What becomes of a row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Assignments {
    /// The values of a new row's key, in the key's order; `None` where the database makes it.
    pub key: Vec<Option<Value>>,
    /// What becomes of columns outside the key, by their places in the table.
    pub columns: Vec<(usize, Assignment)>,
    /// What the written row must show at these places of the selection, because the value says so.
    expected: Vec<(usize, Value)>,
}

impl Assignments {
    /// What the written row must show at these places of the selection.
    pub(super) fn expected(&self) -> &[(usize, Value)] {
        &self.expected
    }
}

impl Mapping {
    /// What a put to `key` makes of the row.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidKey`] and [`ErrorKind::InvalidValue`]; the latter's text names the column.
    pub fn replace(&self, key: &Key, value: &Bytes, flags: u32) -> Result<Assignments> {
        let (parts, _) = self.key.read(key)?;
        let mut assignments = self.assign(value, flags)?;
        for (place, given) in std::mem::take(&mut assignments.key).into_iter().enumerate() {
            let Some(given) = given.filter(|given| *given != parts[place]) else {
                continue;
            };
            let column = &self.key.columns()[place];
            if column.kind.is_exact() {
                return Err(self.invalid(&format!("column `{}` differs from the key", column.name)));
            }
            // Only the database can tell whether the two mean the same.
            assignments.expected.push((self.key_at[place], given));
        }
        assignments.key = parts.into_iter().map(Some).collect();
        Ok(assignments)
    }

    /// What a new row becomes, whose key is in the value, made by the database, or `fresh`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidValue`]; the text names the column.
    pub fn create(&self, value: &Bytes, flags: u32, fresh: Uuid) -> Result<Assignments> {
        let mut assignments = self.assign(value, flags)?;
        assignments.key.resize(self.key_at.len(), None);
        let alone = self.key_at.len() == 1;
        for (part, column) in assignments.key.iter_mut().zip(self.key.columns()) {
            if part.is_some() || column.auto_increment || column.default.is_some() || column.generated {
                continue;
            }
            *part = match &column.kind {
                Kind::Text { .. } | Kind::Uuid if alone => Some(Value::Text(fresh.hyphenated().to_string())),
                Kind::Bytes { fixed: None | Some(16) } if alone => {
                    Some(Value::Bytes(fresh.into_bytes().to_vec()))
                }
                _ => return Err(self.invalid(&format!("column `{}` is missing: it is the key", column.name))),
            };
        }
        Ok(assignments)
    }

    /// Whether one statement may insert or update a row as `assignments` say: there is something to update, an insert
    /// would not want for a column, and nothing is left to be confirmed by a look at the row.
    #[cfg(any(feature = "mysql", feature = "postgres"))]
    pub(crate) fn may_upsert(&self, assignments: &Assignments) -> bool {
        let is_given = |place: usize| {
            self.table.primary_key.contains(&place)
                || assignments.columns.iter().any(|(assigned, _)| *assigned == place)
        };
        let mut columns = self.table.columns.iter().enumerate();
        !assignments.columns.is_empty()
            && assignments.expected.is_empty()
            && assignments.key.iter().all(Option::is_some)
            && columns.all(|(place, column)| is_given(place) || column.may_be_omitted())
    }

    /// Checks that the written row shows what the value said of columns that are not ours to write.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidValue`], naming the column; the write must be rolled back.
    pub fn confirm<'c>(&self, assignments: &Assignments, cell: impl Fn(usize) -> Cell<'c>) -> Result<()> {
        for (at, expected) in &assignments.expected {
            let column = self.column_at(*at);
            let shown = |cell| {
                let mut out = Vec::new();
                write_cell(cell, &column.kind, column.loose, &mut out);
                out
            };
            if shown(cell(*at)) == shown(expected.as_cell()) {
                continue;
            }
            let why = if column.generated {
                "is computed by the database: leave it out"
            } else {
                "differs from the key"
            };
            return Err(self.invalid(&format!("column `{}` {why}", column.name)));
        }
        Ok(())
    }

    fn assign(&self, value: &Bytes, flags: u32) -> Result<Assignments> {
        let mut assignments = match &self.shape {
            Shape::Json { names } => self.assign_json(value, names.len())?,
            Shape::Raw { flags_at } => self.assign_raw(value, flags, *flags_at)?,
        };
        if let Some(at) = self.version_at
            && !self.column_at(at).generated
        {
            assignments.columns.push((self.selected[at], Assignment::NextVersion));
        }
        Ok(assignments)
    }

    fn assign_raw(&self, value: &Bytes, flags: u32, flags_at: Option<usize>) -> Result<Assignments> {
        let column = self.column_at(0);
        let value = match (&column.kind, std::str::from_utf8(value)) {
            (Kind::Text { .. }, Ok(text)) => Value::Text(text.into()),
            (Kind::Text { .. }, Err(_)) => {
                return Err(self.invalid(&format!("column `{}` takes UTF-8 text", column.name)));
            }
            _ => Value::Bytes(value.to_vec()),
        };
        let mut columns = vec![(self.selected[0], Assignment::Value(value))];
        if let Some(at) = flags_at {
            columns.push((self.selected[at], Assignment::Value(Value::Int(flags.into()))));
        }
        Ok(Assignments { columns, ..Assignments::default() })
    }

    fn assign_json(&self, value: &Bytes, shown: usize) -> Result<Assignments> {
        let members = self.members(value)?;
        let mut given: Vec<Option<Value>> = vec![None; self.selected.len()];
        for (name, json) in members {
            let at = self.find(&name, shown)?;
            let column = self.column_at(at);
            if given[at].is_some() {
                return Err(self.invalid(&format!("column `{}` is given twice", column.name)));
            }
            let cell = read_cell(json.get(), column);
            let fits =
                cell.filter(|cell| *cell != Value::Null || column.nullable || self.key_at.contains(&at));
            let Some(cell) = fits else {
                return Err(self.invalid(&format!("column `{}` takes {}", column.name, takes(column))));
            };
            given[at] = Some(cell);
        }
        self.distribute(given, shown)
    }

    fn distribute(&self, mut given: Vec<Option<Value>>, shown: usize) -> Result<Assignments> {
        let key =
            self.key_at.iter().map(|at| given[*at].take().filter(|value| *value != Value::Null)).collect();
        let mut assignments = Assignments { key, ..Assignments::default() };
        for (at, value) in given.into_iter().enumerate().take(shown) {
            let column = self.column_at(at);
            if self.key_at.contains(&at) || self.version_at == Some(at) {
                continue;
            }
            let assignment = match value {
                Some(value) if column.generated => {
                    assignments.expected.push((at, value));
                    continue;
                }
                Some(value) => Assignment::Value(value),
                // The database numbered the row when it was made, and no other number would be truer.
                None if column.generated || column.auto_increment => continue,
                None if column.may_be_omitted() => Assignment::Default,
                None => {
                    let detail =
                        format!("column `{}` is missing: it takes no null and has no default", column.name);
                    return Err(self.invalid(&detail));
                }
            };
            assignments.columns.push((self.selected[at], assignment));
        }
        Ok(assignments)
    }

    fn members<'v>(&self, value: &'v Bytes) -> Result<Vec<(String, &'v RawValue)>> {
        let mut parser = serde_json::Deserializer::from_slice(value);
        // The parser's own text could repeat a value, so only the place is passed on.
        let broken = |error: serde_json::Error| {
            let (line, column) = (error.line(), error.column());
            self.invalid(&format!("it is not one JSON object (line {line}, column {column})"))
        };
        let members = parser.deserialize_map(Members { max: self.selected.len() + 1 }).map_err(broken)?;
        parser.end().map_err(broken)?;
        Ok(members)
    }

    /// Where in the selection the shown column `name` is.
    fn find(&self, name: &str, shown: usize) -> Result<usize> {
        let found = (0..shown).find(|at| self.column_at(*at).name == name);
        found.ok_or_else(|| {
            let mut names: Vec<&str> = (0..shown).map(|at| self.column_at(at).name.as_str()).collect();
            names.sort_by_key(|known| distance(name, known));
            names.truncate(3);
            let short: String = name.chars().filter(|char| !char.is_control()).take(NAME_LEN_MAX).collect();
            self.invalid(&format!("there is no column `{short}`; the closest: `{}`", names.join("`, `")))
        })
    }

    fn column_at(&self, at: usize) -> &Column {
        &self.table.columns[self.selected[at]]
    }

    fn invalid(&self, detail: &str) -> Error {
        Error::new(ErrorKind::InvalidValue, READ, format!("table `{}`: {detail}", self.table.name))
    }
}

/// Collects an object's members in their order, at most `max`: one more than there are columns always
/// holds a name that is unknown or given twice.
struct Members {
    max: usize,
}

impl<'v> Visitor<'v> for Members {
    type Value = Vec<(String, &'v RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'v>>(self, mut map: A) -> std::result::Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            if members.len() < self.max {
                members.push(member);
            }
        }
        Ok(members)
    }
}

/// How many characters must be inserted, removed or replaced to get from `a` to `b`, ignoring ASCII case.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (line, from) in a.chars().take(NAME_LEN_MAX).enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (place, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(!from.eq_ignore_ascii_case(to));
            diagonal = row[place + 1];
            row[place + 1] = replaced.min(diagonal + 1).min(row[place] + 1);
        }
    }
    row[b.len()]
}
