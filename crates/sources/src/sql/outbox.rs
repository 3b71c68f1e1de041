// SPDX-License-Identifier: MIT OR Apache-2.0
//! The outbox: a table of ours into which triggers write the key of every row that changes.
//!
//! A trigger cannot spell a key's text, which percent-encodes; it writes the parts of the key, each as the
//! hexadecimal digits of its text (or bytes), joined by commas. Whoever takes the row makes the canonical key of
//! them. A key that no trigger can write exactly (floating point, times, whose text depends on the session that
//! writes) is written as null, and null means any row of the table.

use std::collections::HashMap;
use std::sync::Arc;

use throughline_core::{Key, News, Result};

use super::{KeyMap, Kind, Table};

#[cfg(any(feature = "mysql", feature = "postgres"))]
mod memory;

#[cfg(any(feature = "mysql", feature = "postgres"))]
pub(crate) use memory::{Look, Memory, Noted, Rows, Taken, Waiting, ids};

/// Whose news a feed gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Consumer {
    /// Those of every daemon over one shared cache: each piece is given to one of them.
    Shared,
    /// Those of one process with a cache in its memory, under a name that nobody else has.
    Process(String),
}

impl Consumer {
    /// The name in the database, and the mark of the connections that write for it.
    pub fn name(&self) -> &str {
        match self {
            Self::Shared => SHARED,
            Self::Process(name) => name,
        }
    }
}

/// The consumer that daemons over a shared cache are.
pub(crate) const SHARED: &str = "shared";

/// What the names of all tables and triggers of ours begin with.
pub(crate) const OWN_PREFIX: &str = "tl_";

/// The rows that changed.
pub(crate) const OUTBOX: &str = "tl_outbox";

/// Rows that are taken at a time and named one by one.
pub(crate) const ROW_COUNT_MAX: usize = 1_000;
/// Waiting rows beyond which their tables are invalidated as a whole.
pub(crate) const BACKLOG_MAX: usize = 10_000;
/// Rows that are taken at a time when they are not named one by one.
pub(crate) const SWEEP_COUNT_MAX: usize = 20_000;

/// The changes of a row that triggers tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Insert,
    Update,
    Delete,
}

impl Event {
    pub(crate) const ALL: [Self; 3] = [Self::Insert, Self::Update, Self::Delete];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// The name of the trigger on `table`: readable, and short enough for every database.
pub(crate) fn trigger_name(table: &str, event: Event) -> String {
    own_name(table, event.as_str())
}

/// A name for something of ours that belongs to `table`.
pub(crate) fn own_name(table: &str, end: &str) -> String {
    // PostgreSQL keeps 63 bytes of a name, MySQL 64 characters.
    const TABLE_LEN_MAX: usize = 48;
    if table.len() <= TABLE_LEN_MAX {
        return format!("{OWN_PREFIX}{table}_{end}");
    }
    // FNV-1a keeps apart what is cut off.
    let hash = table.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let cut = (0..=TABLE_LEN_MAX - 17).rev().find(|at| table.is_char_boundary(*at)).unwrap_or(0);
    format!("{OWN_PREFIX}{}_{hash:016x}_{end}", &table[..cut])
}

/// Whether a trigger can write a part of the key of this kind exactly.
pub(crate) fn is_exact_in_triggers(kind: &Kind) -> bool {
    !matches!(kind, Kind::Float { .. } | Kind::Time | Kind::DateTime | Kind::Json)
}

/// The keys of tables, for whoever reads what triggers wrote.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyMaps(HashMap<Arc<str>, KeyMap>);

impl KeyMaps {
    /// The maps of `tables`.
    pub(crate) fn new<'t>(tables: impl IntoIterator<Item = &'t Table>) -> Self {
        let map = |table: &Table| (table.name.as_str().into(), KeyMap::new(table));
        Self(tables.into_iter().map(map).collect())
    }

    /// The tables.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.keys()
    }

    /// Whether `table` is one of them.
    pub(crate) fn contains(&self, table: &str) -> bool {
        self.0.contains_key(table)
    }

    /// The news of a row of the outbox; `None` when no resource can have an entry for it: the table is not served,
    /// or no key reaches the row.
    pub(crate) fn news(&self, table: &str, written: Option<&str>) -> Option<News> {
        let (name, map) = self.0.get_key_value(table)?;
        let whole = || Some(News::Table { table: name.clone(), age_ms: 0 });
        let Some(parts) = written.and_then(parts) else {
            // Null, or damaged by somebody's hand.
            return whole();
        };
        key(map, &parts).ok().map(|key| News::Row { table: name.clone(), key })
    }
}

/// The canonical key of these parts.
pub(crate) fn key(map: &KeyMap, parts: &[Vec<u8>]) -> Result<Key> {
    let key = Key::from_parts(parts.iter().map(Vec::as_slice))?;
    Ok(map.read(&key)?.1.of(&key))
}

/// The parts that a trigger wrote.
pub(crate) fn parts(written: &str) -> Option<Vec<Vec<u8>>> {
    written.split(',').map(bytes).collect()
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    if !digits.len().is_multiple_of(2) || !digits.is_ascii() {
        return None;
    }
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::{Event, KeyMaps, parts, trigger_name};
    use crate::sql::{Column, Kind, Table};
    use throughline_core::News;

    fn table(kinds: &[Kind]) -> Table {
        Table {
            schema: None,
            name: "thing".into(),
            columns: kinds.iter().map(|kind| Column::new("part", kind.clone())).collect(),
            primary_key: (0..kinds.len()).collect(),
            has_other_unique: false,
            foreign_keys: vec![],
            triggers: vec![],
            unservable: None,
        }
    }

    fn spelled(kinds: &[Kind], written: Option<&str>) -> Option<String> {
        KeyMaps::new([&table(kinds)]).news("thing", written).map(|news| match news {
            News::Row { key, .. } => key.to_string(),
            News::Table { .. } => "*".to_owned(),
        })
    }

    #[test]
    fn written_parts_become_the_canonical_key() {
        let integer = Kind::Integer { bits: 64, unsigned: false };
        let text = Kind::Text { exact: true };
        assert_eq!(spelled(std::slice::from_ref(&integer), Some("3432")).as_deref(), Some("42"));
        assert_eq!(spelled(&[text, integer], Some("613A25,2D37")).as_deref(), Some("a%3A%25:-7"));
        assert_eq!(spelled(&[Kind::Bytes { fixed: None }], Some("00FF")).as_deref(), Some("%00%FF"));
        assert_eq!(spelled(&[Kind::Bool], Some("31")).as_deref(), Some("true"));
        assert_eq!(spelled(&[Kind::Text { exact: true }], Some("")).as_deref(), Some(""));
    }

    #[test]
    fn what_cannot_be_read_means_any_row_and_what_no_key_reaches_means_none() {
        let integer = [Kind::Integer { bits: 64, unsigned: false }];
        for written in [None, Some("3"), Some("zz"), Some("é")] {
            assert_eq!(spelled(&integer, written).as_deref(), Some("*"), "{written:?}");
        }
        assert_eq!(spelled(&integer, Some("61")), None);
        assert_eq!(spelled(&integer, Some("31,32")), None);
        assert_eq!(KeyMaps::new([&table(&integer)]).news("other", Some("31")), None);
    }

    #[test]
    fn digits_are_bytes() {
        assert_eq!(parts("6162,,ff"), Some(vec![b"ab".to_vec(), vec![], vec![0xff]]));
    }

    #[test]
    fn names_of_triggers_are_short_and_told_apart() {
        assert_eq!(trigger_name("person", Event::Insert), "tl_person_insert");
        let (long, other) = ("p".repeat(64), "p".repeat(63) + "q");
        let name = trigger_name(&long, Event::Update);
        assert!(name.len() <= 63 && name != trigger_name(&other, Event::Update), "{name}");
    }
}
