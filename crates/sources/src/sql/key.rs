// SPDX-License-Identifier: MIT OR Apache-2.0
//! Between a key's text and the values of a table's primary key.
//!
//! A key is canonical as the database compares it. For whole numbers, bytes, UUIDs, booleans and text that
//! compares byte by byte the canonical form follows from the text alone (`042` is `42`). For all others
//! (text without regard to case, padded text, decimals, dates, …) only the row's own key, as it is read
//! back, is canonical: a load whose row has another key must not be filled, and neither must absence.

use std::borrow::Cow;

use throughline_core::{Canonical, Error, ErrorKind, Key, Result};

use super::{Cell, Column, Kind, Table, Value};

const READ: &str = "read a key";

/// The primary key of one table.
#[derive(Clone, Debug)]
pub struct KeyMap {
    table: String,
    columns: Vec<Column>,
    exact: bool,
}

impl KeyMap {
    /// The map of `table`, which must have a primary key.
    pub fn new(table: &Table) -> Self {
        let columns: Vec<Column> = table.key_columns().cloned().collect();
        Self {
            table: table.name.clone(),
            exact: columns.iter().all(|column| column.kind.is_exact()),
            columns,
        }
    }

    /// The columns, in the key's order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Whether a key's canonical form follows from its text alone; otherwise absence is never filled.
    pub fn is_exact(&self) -> bool {
        self.exact
    }

    /// The values that `key` means, to be bound, and whether it is canonical as far as its text tells.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidKey`] when no row can have this key.
    pub fn read(&self, key: &Key) -> Result<(Vec<Value>, Canonical)> {
        let mut values = Vec::with_capacity(self.columns.len());
        let mut changed = false;
        let mut count = 0;
        for part in key.parts() {
            if let Some(column) = self.columns.get(count) {
                let value = read_part(&part, column).ok_or_else(|| self.wrong_part(column))?;
                changed |= column.kind.is_exact()
                    && write_part(value.as_cell(), &column.kind).as_deref() != Some(&*part);
                values.push(value);
            }
            count += 1;
        }
        if count != self.columns.len() {
            return Err(self.wrong_count(count));
        }
        if !changed {
            return Ok((values, Canonical::Same));
        }
        let canonical = self.key_of(|place| values[place].as_cell())?;
        Ok((values, Canonical::Other(canonical)))
    }

    /// The key of a row; `cell` gives the cell of the key's column at a place of the key.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidKey`] when a cell is of a class that no key reaches, or the key is too long.
    pub fn key_of<'c>(&self, cell: impl Fn(usize) -> Cell<'c>) -> Result<Key> {
        let part = |(place, column): (usize, &Column)| {
            write_part(cell(place), &column.kind).ok_or_else(|| self.wrong_part(column))
        };
        let parts = self.columns.iter().enumerate().map(part).collect::<Result<Vec<_>>>()?;
        Key::from_parts(parts.iter().map(AsRef::as_ref))
    }

    fn wrong_part(&self, column: &Column) -> Error {
        let takes = match &column.kind {
            // In a key bytes stand for themselves, percent-encoded.
            Kind::Bytes { fixed: Some(length) } => format!("at most {length} bytes"),
            Kind::Bytes { fixed: None } => "bytes".into(),
            Kind::Any => "text or a number".into(),
            _ => super::read::takes(column),
        };
        let detail = format!("`{}`: the part `{}` takes {takes}", self.table, column.name);
        Error::new(ErrorKind::InvalidKey, READ, detail)
    }

    fn wrong_count(&self, count: usize) -> Error {
        let names: Vec<_> = self.columns.iter().map(|column| column.name.as_str()).collect();
        let detail = format!(
            "`{}`: the key has {} part(s), `{}`, not {count} (a `:` within a part is written `%3A`)",
            self.table,
            names.len(),
            names.join(":"),
        );
        Error::new(ErrorKind::InvalidKey, READ, detail)
    }
}

fn read_part(part: &[u8], column: &Column) -> Option<Value> {
    match &column.kind {
        Kind::Bytes { fixed } => read_bytes(part, *fixed),
        kind => match std::str::from_utf8(part) {
            Ok(text) => read_text_part(text, kind, column.loose),
            Err(_) if column.loose && matches!(kind, Kind::Text { .. }) => {
                Some(Value::NotUtf8(part.to_vec()))
            }
            Err(_) => None,
        },
    }
}

fn read_text_part(text: &str, kind: &Kind, loose: bool) -> Option<Value> {
    match kind {
        Kind::Integer { bits, unsigned } => read_integer(text, *bits, *unsigned),
        Kind::Year => read_integer(text, 16, true),
        Kind::Bit { bits } => read_integer(text, *bits, true),
        Kind::Bool => match text {
            "0" | "false" => Some(Value::Int(0)),
            "1" | "true" => Some(Value::Int(1)),
            _ => None,
        },
        Kind::Uuid => uuid::Uuid::try_parse(text).ok().map(|id| Value::Text(id.hyphenated().to_string())),
        Kind::Float { .. } => text.parse().ok().filter(|number: &f64| !number.is_nan()).map(Value::Float),
        Kind::Decimal if !loose => is_decimal(text).then(|| Value::Decimal(text.into())),
        // SQLite compares text with a numeric column as the number that it spells.
        _ => Some(Value::Text(text.into())),
    }
}

/// Digits with an optional minus; zeros in front are allowed, because the database would ignore them too.
fn read_integer(text: &str, bits: u8, unsigned: bool) -> Option<Value> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if unsigned {
        let number: u64 = if digits.len() < text.len() {
            digits.bytes().all(|digit| digit == b'0').then_some(0)?
        } else {
            text.parse().ok()?
        };
        (number <= u64::MAX >> (64 - u32::from(bits))).then_some(Value::UInt(number))
    } else {
        let number: i64 = text.parse().ok()?;
        let max = i64::MAX >> (64 - u32::from(bits));
        (-max - 1..=max).contains(&number).then_some(Value::Int(number))
    }
}

fn read_bytes(part: &[u8], fixed: Option<u32>) -> Option<Value> {
    let mut bytes = part.to_vec();
    if let Some(length) = fixed {
        let length = length as usize;
        if bytes.len() > length {
            return None;
        }
        bytes.resize(length, 0);
    }
    Some(Value::Bytes(bytes))
}

fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.bytes().any(|byte| byte.is_ascii_digit())
        && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && digits.bytes().filter(|byte| *byte == b'.').count() <= 1
}

/// The bytes of a cell as a part of a key; `None` when no key reaches a cell of this class.
fn write_part<'c>(cell: Cell<'c>, kind: &Kind) -> Option<Cow<'c, [u8]>> {
    let owned = |text: String| Some(Cow::Owned(text.into_bytes()));
    match (kind, cell) {
        (Kind::Bool, Cell::Int(number @ 0..=1)) => {
            Some(Cow::Borrowed(if number == 1 { b"true" } else { b"false" }))
        }
        (Kind::Bytes { .. }, Cell::Bytes(bytes)) => Some(Cow::Borrowed(bytes)),
        (Kind::Text { .. }, Cell::NotUtf8(bytes)) => Some(Cow::Borrowed(bytes)),
        (Kind::Uuid, Cell::Text(text)) => {
            uuid::Uuid::try_parse(text).ok().and_then(|id| owned(id.hyphenated().to_string()))
        }
        (Kind::Decimal, Cell::Decimal(digits)) => Some(Cow::Borrowed(digits.as_bytes())),
        (Kind::Float { bits: 32 }, Cell::Float(number)) => owned(format!("{:?}", number as f32)),
        (Kind::Float { .. } | Kind::Any | Kind::Decimal, Cell::Float(number)) => owned(format!("{number:?}")),
        (kind, Cell::Text(text)) if super::json::holds_text(kind) || *kind == Kind::Decimal => {
            Some(Cow::Borrowed(text.as_bytes()))
        }
        (kind, Cell::Int(number)) if super::json::holds_integers(kind) => owned(number.to_string()),
        (kind, Cell::UInt(number)) if super::json::holds_integers(kind) => owned(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Canonical, Column, Key, KeyMap, Kind, Table, Value};
    use throughline_core::ErrorKind;

    fn map(kinds: &[Kind]) -> KeyMap {
        let columns: Vec<_> = kinds.iter().map(|kind| Column::new("part", kind.clone())).collect();
        KeyMap::new(&Table {
            schema: None,
            name: "thing".into(),
            primary_key: (0..columns.len()).collect(),
            columns,
            has_other_unique: false,
            foreign_keys: vec![],
            triggers: vec![],
            unservable: None,
        })
    }

    fn key(text: &str) -> Key {
        Key::parse(text).unwrap()
    }

    const INTEGER: Kind = Kind::Integer { bits: 64, unsigned: false };

    #[test]
    fn a_number_written_otherwise_means_the_canonical_one() {
        let map = map(&[INTEGER]);
        assert_eq!(map.read(&key("42")).unwrap(), (vec![Value::Int(42)], Canonical::Same));
        assert_eq!(map.read(&key("042")).unwrap(), (vec![Value::Int(42)], Canonical::Other(key("42"))));
        assert_eq!(map.read(&key("-0")).unwrap().1, Canonical::Other(key("0")));
    }

    #[test]
    fn what_no_row_can_have_is_an_invalid_key() {
        let map = map(&[INTEGER]);
        for text in ["", "x", "4%202", "+1", "1.0", "1:2", "9223372036854775808", "%FF", "1'%20OR%20'1'='1"] {
            let error = map.read(&key(text)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidKey, "{text}");
        }
    }

    #[test]
    fn a_uuid_is_canonical_in_lower_case_with_hyphens() {
        let map = map(&[Kind::Uuid]);
        let canonical = key("0192f0c1-2345-7abc-8def-0123456789ab");
        assert_eq!(map.read(&canonical).unwrap().1, Canonical::Same);
        for text in ["0192F0C1-2345-7ABC-8DEF-0123456789AB", "0192f0c123457abc8def0123456789ab"] {
            assert_eq!(map.read(&key(text)).unwrap().1, Canonical::Other(canonical.clone()));
        }
    }

    #[test]
    fn parts_keep_their_order_and_their_bytes() {
        let map = map(&[Kind::Text { exact: true }, Kind::Bytes { fixed: None }]);
        let given = key("a%3Ab:%00%FF");
        let (values, canonical) = map.read(&given).unwrap();
        assert_eq!(values, [Value::Text("a:b".into()), Value::Bytes(vec![0, 0xff])]);
        assert_eq!(canonical, Canonical::Same);
        assert_eq!(map.key_of(|place| values[place].as_cell()).unwrap(), given);
        assert!(map.is_exact());
    }

    #[test]
    fn text_that_does_not_compare_byte_by_byte_is_not_exact() {
        let map = map(&[Kind::Text { exact: false }]);
        assert!(!map.is_exact());
        assert_eq!(map.read(&key("Bob")).unwrap().1, Canonical::Same);
    }
}
