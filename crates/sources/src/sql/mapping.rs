// SPDX-License-Identifier: MIT OR Apache-2.0
//! How one resource's records come from one table.

use std::fmt::Write as _;
use std::sync::Arc;

use throughline_core::{Error, ErrorKind, Fingerprint, Key, Record, Result, Version};

use super::json::{write_cell, write_text};
use super::{Cell, Column, KeyMap, Kind, Table};

/// What an operator says of a resource's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableMapping {
    /// The table's name.
    pub table: String,
    /// The columns that are shown and may be written; all of them when `None`. A column that is not shown
    /// keeps its value when a record is replaced, and gets its default when one is inserted.
    pub columns: Option<Vec<String>>,
    /// What a value looks like.
    pub format: Format,
    /// A column of whole numbers that counts a row's writes: it is raised by one with every write, what a
    /// value says of it is ignored, and it is the record's version. Without one the content is.
    pub version_column: Option<String>,
}

impl TableMapping {
    /// All columns of `table` as JSON.
    pub fn json(table: impl Into<String>) -> Self {
        Self { table: table.into(), columns: None, format: Format::Json, version_column: None }
    }
}

/// What a value looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// The row as a JSON object.
    Json,
    /// The bytes of one column.
    Raw {
        /// The column, of text or bytes.
        value_column: String,
        /// A column of whole numbers for the memcached client's flags.
        flags_column: Option<String>,
    },
}

/// A checked [`TableMapping`]: which columns are selected, in which order, and what becomes of them.
#[derive(Clone, Debug)]
pub struct Mapping {
    pub(super) table: Arc<Table>,
    pub(super) key: KeyMap,
    /// The places in the table of what a SELECT lists, in its order: what is shown first.
    pub(super) selected: Vec<usize>,
    pub(super) shape: Shape,
    /// Where in `selected` the key's columns are, in the key's order.
    pub(super) key_at: Vec<usize>,
    /// Where in `selected` the version column is.
    pub(super) version_at: Option<usize>,
}

#[derive(Clone, Debug)]
pub(super) enum Shape {
    /// The first cells of `selected`, each behind its name as JSON writes it: `,"id":`.
    Json { names: Vec<Vec<u8>> },
    /// The first cell, and the one of the flags.
    Raw { flags_at: Option<usize> },
}

impl Mapping {
    /// Checks what an operator says against the table.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] for a table that cannot be a resource and for a column that is not
    /// there or does not hold what it must.
    pub fn new(table: Arc<Table>, settings: &TableMapping) -> Result<Self> {
        if let Some(reason) = &table.unservable {
            return Err(wrong(&table, &format!("it cannot be a resource: {reason}")));
        }
        let version = match &settings.version_column {
            Some(name) => Some(integer_column(&table, name, "version_column")?),
            None => None,
        };
        let (mut selected, flags) = shown(&table, settings)?;
        let count = selected.len();
        let mut at = |place: usize| {
            selected.iter().position(|selected| *selected == place).unwrap_or_else(|| {
                selected.push(place);
                selected.len() - 1
            })
        };
        let key_at = table.primary_key.iter().map(|place| at(*place)).collect();
        let version_at = version.map(&mut at);
        let flags_at = flags.map(&mut at);
        let shape = match settings.format {
            Format::Json => Shape::Json {
                names: selected[..count]
                    .iter()
                    .map(|place| member_name(&table.columns[*place].name))
                    .collect(),
            },
            Format::Raw { .. } => Shape::Raw { flags_at },
        };
        Ok(Self { key: KeyMap::new(&table), table, selected, shape, key_at, version_at })
    }

    /// The table.
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// The primary key.
    pub fn key(&self) -> &KeyMap {
        &self.key
    }

    /// The columns that a SELECT must list, in this order.
    pub fn selected(&self) -> impl ExactSizeIterator<Item = &Column> {
        self.selected.iter().map(|place| &self.table.columns[*place])
    }

    /// The place in the table of the version column.
    pub fn version_place(&self) -> Option<usize> {
        self.version_at.map(|at| self.selected[at])
    }

    /// The record of a row; `cell` gives the cell at a place of [`Mapping::selected`].
    pub fn record<'c>(&self, cell: impl Fn(usize) -> Cell<'c>) -> Record {
        let value = match &self.shape {
            Shape::Json { names } => self.json(names, &cell),
            Shape::Raw { .. } => raw(cell(0)),
        };
        let version = match self.version_at {
            Some(at) => Version(cell(at).as_counter()),
            None => Version::of_content(&value),
        };
        let flags = match self.shape {
            Shape::Raw { flags_at: Some(at) } => u32::try_from(cell(at).as_counter()).unwrap_or(0),
            _ => 0,
        };
        Record { value: value.into(), version, flags }
    }

    /// The canonical key of a row; `cell` as in [`Mapping::record`].
    ///
    /// # Errors
    /// As [`KeyMap::key_of`].
    pub fn stored_key<'c>(&self, cell: impl Fn(usize) -> Cell<'c>) -> Result<Key> {
        self.key.key_of(|place| cell(self.key_at[place]))
    }

    /// What the bytes of a record mean: the database's own name, the table, the columns and the format.
    pub fn fingerprint(&self, database: &str) -> Fingerprint {
        let mut text = format!("{database}\n{:?}.{}\n", self.table.schema, self.table.name);
        for column in self.selected() {
            writeln!(text, "{:?} {:?} {}", column.name, column.kind, column.loose)
                .expect("writing to a string does not fail");
        }
        let shown = match &self.shape {
            Shape::Json { names } => format!("json {}", names.len()),
            Shape::Raw { flags_at } => format!("raw {flags_at:?}"),
        };
        write!(text, "{shown} {:?} {:?}", self.key_at, self.version_at)
            .expect("writing to a string does not fail");
        Fingerprint::of(text.as_bytes())
    }

    fn json<'c>(&self, names: &[Vec<u8>], cell: &impl Fn(usize) -> Cell<'c>) -> Vec<u8> {
        let mut out = Vec::with_capacity(32 * names.len());
        for (at, name) in names.iter().enumerate() {
            let column = &self.table.columns[self.selected[at]];
            out.extend_from_slice(name);
            write_cell(cell(at), &column.kind, column.loose, &mut out);
        }
        // Each name brings a comma; the first one's place is the brace's.
        match out.first_mut() {
            Some(first) => *first = b'{',
            None => out.push(b'{'),
        }
        out.push(b'}');
        out
    }
}

fn raw(cell: Cell<'_>) -> Vec<u8> {
    match cell {
        Cell::Null => Vec::new(),
        Cell::Text(text) | Cell::Decimal(text) => text.as_bytes().to_vec(),
        Cell::Bytes(bytes) | Cell::NotUtf8(bytes) => bytes.to_vec(),
        Cell::Int(number) => number.to_string().into_bytes(),
        Cell::UInt(number) => number.to_string().into_bytes(),
        Cell::Float(number) => format!("{number:?}").into_bytes(),
    }
}

fn member_name(name: &str) -> Vec<u8> {
    let mut out = vec![b','];
    write_text(name, &mut out);
    out.push(b':');
    out
}

/// The places of what is shown, and of the flags.
fn shown(table: &Table, settings: &TableMapping) -> Result<(Vec<usize>, Option<usize>)> {
    match (&settings.format, &settings.columns) {
        (Format::Json, None) => Ok(((0..table.columns.len()).collect(), None)),
        (Format::Json, Some(names)) => {
            let mut places =
                names.iter().map(|name| column(table, name, "columns")).collect::<Result<Vec<_>>>()?;
            places.sort_unstable();
            places.dedup();
            Ok((places, None))
        }
        (Format::Raw { .. }, Some(_)) => Err(wrong(table, "`columns` goes with `format = \"json\"` only")),
        (Format::Raw { value_column, flags_column }, None) => {
            let place = column(table, value_column, "value_column")?;
            let kind = &table.columns[place].kind;
            if !matches!(kind, Kind::Text { .. } | Kind::Bytes { .. } | Kind::Any)
                || table.primary_key.contains(&place)
            {
                let detail =
                    format!("`value_column`: `{value_column}` must hold text or bytes and be no key");
                return Err(wrong(table, &detail));
            }
            let flags = match flags_column {
                Some(name) => Some(integer_column(table, name, "flags_column")?),
                None => None,
            };
            Ok((vec![place], flags))
        }
    }
}

fn integer_column(table: &Table, name: &str, setting: &str) -> Result<usize> {
    let place = column(table, name, setting)?;
    let fits = matches!(table.columns[place].kind, Kind::Integer { .. });
    if !fits || table.primary_key.contains(&place) {
        return Err(wrong(table, &format!("`{setting}`: `{name}` must hold whole numbers and be no key")));
    }
    Ok(place)
}

fn column(table: &Table, name: &str, setting: &str) -> Result<usize> {
    table.place(name).ok_or_else(|| wrong(table, &format!("`{setting}`: there is no column `{name}`")))
}

fn wrong(table: &Table, detail: &str) -> Error {
    let detail = format!("table `{}`: {detail}", table.name);
    Error::new(ErrorKind::Configuration, "map a table", detail)
}

#[cfg(test)]
mod tests;
