// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads `information_schema` into tables.

use std::collections::{BTreeMap, HashSet};

use mysql_async::{Row, Value};

use super::client::Session;
use super::map::Failure;
use crate::sql::outbox::OWN_PREFIX;
use crate::sql::{Action, Column, ForeignKey, Kind, Table, Trigger};

/// A table and what only MySQL says about it.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) table: Table,
    /// Why transactions and locks cannot be relied on, if they cannot.
    pub(super) obstacle: Option<String>,
    /// The names of its unique indexes, the primary key's included.
    pub(super) unique_indexes: Vec<String>,
    /// The last character that each column can hold, where it is less than Unicode's.
    chars_max: Vec<Option<char>>,
}

impl Found {
    /// The last character that each column of the key can hold, where that is known and less than Unicode's.
    pub(super) fn key_chars_max(&self) -> Vec<Option<char>> {
        self.table.primary_key.iter().map(|place| self.chars_max[*place]).collect()
    }
}

const TABLES: &str = "SELECT TABLE_NAME, TABLE_TYPE, ENGINE FROM information_schema.TABLES \
    WHERE TABLE_SCHEMA = ? ORDER BY TABLE_NAME";
const COLUMNS: &str = "SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, COLLATION_NAME, IS_NULLABLE, \
    COLUMN_DEFAULT, GENERATION_EXPRESSION, EXTRA, NUMERIC_PRECISION, CHARACTER_MAXIMUM_LENGTH \
    FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? ORDER BY TABLE_NAME, ORDINAL_POSITION";
const UNIQUE: &str = "SELECT TABLE_NAME, INDEX_NAME, COLUMN_NAME, SUB_PART FROM information_schema.STATISTICS \
    WHERE TABLE_SCHEMA = ? AND NON_UNIQUE = 0 ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX";
const REFERENCES: &str = "SELECT TABLE_NAME, REFERENCED_TABLE_NAME, DELETE_RULE, UPDATE_RULE \
    FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = ? ORDER BY TABLE_NAME, CONSTRAINT_NAME";
const TRIGGERS: &str = "SELECT EVENT_OBJECT_TABLE, TRIGGER_NAME, ACTION_STATEMENT FROM information_schema.TRIGGERS \
    WHERE EVENT_OBJECT_SCHEMA = ? ORDER BY EVENT_OBJECT_TABLE, TRIGGER_NAME";
/// MariaDB has no type for JSON: the word makes a text with this check.
const JSON_CHECKS: &str = "SELECT TABLE_NAME, CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS \
    WHERE CONSTRAINT_SCHEMA = ? AND CHECK_CLAUSE LIKE 'json_valid(%'";

/// Reads every table and view of `database`.
pub(super) async fn read(session: &mut Session, database: &str) -> Result<Vec<Found>, Failure> {
    let mut rows = async |sql| {
        let database = vec![Value::from(database)];
        session.run(sql, database).await.map(|answer| answer.rows)
    };
    let mut tables: BTreeMap<String, Found> =
        rows(TABLES).await?.iter().map(|row| (text(row, 0), table(database, row))).collect();
    // Our own tables are never resources.
    tables.retain(|name, _| !name.starts_with(OWN_PREFIX));
    let columns = rows(COLUMNS).await?;
    let (unique, references, triggers) =
        (rows(UNIQUE).await?, rows(REFERENCES).await?, rows(TRIGGERS).await?);
    let is_mariadb = session.flavour().is_mariadb();
    let json =
        if is_mariadb { session.run(JSON_CHECKS, vec![database.into()]).await?.rows } else { Vec::new() };
    let json: HashSet<(String, String)> = json.iter().map(|row| (text(row, 0), text(row, 1))).collect();

    for row in &columns {
        if let Some(found) = tables.get_mut(&text(row, 0)) {
            let check = format!("json_valid(`{}`)", text(row, 1).replace('`', "``"));
            let is_json = json.contains(&(text(row, 0), check));
            found.table.columns.push(column(row, is_json));
            found.chars_max.push(char_max(&text(row, 4)));
        }
    }
    for row in &unique {
        if let Some(found) = tables.get_mut(&text(row, 0)) {
            add_unique(found, row);
        }
    }
    for row in &references {
        if let Some(found) = tables.get_mut(&text(row, 0)) {
            found.table.foreign_keys.push(ForeignKey {
                parent: text(row, 1),
                on_delete: Action::parse(&text(row, 2)),
                on_update: Action::parse(&text(row, 3)),
            });
        }
    }
    for row in &triggers {
        if let Some(found) = tables.get_mut(&text(row, 0)) {
            found.table.triggers.push(Trigger { name: text(row, 1), body: text(row, 2) });
        }
    }
    Ok(tables.into_values().map(judged).collect())
}

fn table(database: &str, row: &Row) -> Found {
    let kind = text(row, 1);
    let engine = text(row, 2);
    let unservable = match kind.as_str() {
        "BASE TABLE" => None,
        "VIEW" | "SYSTEM VIEW" => Some("it is a view: name the table that holds its rows".to_owned()),
        "SYSTEM VERSIONED" => {
            Some("it is system-versioned: its rows are not told apart by the key alone".to_owned())
        }
        other => Some(format!("it is no table but a {}", other.to_ascii_lowercase())),
    };
    let is_innodb = engine.eq_ignore_ascii_case("InnoDB");
    Found {
        table: Table {
            schema: Some(database.to_owned()),
            name: text(row, 0),
            columns: Vec::new(),
            primary_key: Vec::new(),
            has_other_unique: false,
            foreign_keys: Vec::new(),
            triggers: Vec::new(),
            unservable,
        },
        obstacle: (!is_innodb).then(|| {
            format!("its engine {engine} has no transactions and row locks: ALTER TABLE … ENGINE = InnoDB gives it both")
        }),
        unique_indexes: Vec::new(),
        chars_max: Vec::new(),
    }
}

fn add_unique(found: &mut Found, row: &Row) {
    let index = text(row, 1);
    if index != "PRIMARY" {
        found.table.has_other_unique = true;
    } else if is_null(row, 3) {
        let name = text(row, 2);
        let place = found.table.columns.iter().position(|column| column.name == name);
        found.table.primary_key.extend(place);
    } else {
        found.table.unservable = Some("its primary key holds only the first part of a column".to_owned());
    }
    if !found.unique_indexes.contains(&index) {
        found.unique_indexes.push(index);
    }
}

fn judged(mut found: Found) -> Found {
    if found.table.unservable.is_none() && found.table.primary_key.is_empty() {
        found.table.unservable = Some("it has no primary key: add one".to_owned());
    }
    found
}

fn column(row: &Row, is_json: bool) -> Column {
    let column_type = text(row, 3).to_ascii_lowercase();
    let data_type = text(row, 2).to_ascii_lowercase();
    let number = |place| integer(row, place).unwrap_or_default();
    let kind = if is_json {
        Kind::Json
    } else {
        kind(
            &data_type,
            &text(row, 3),
            column_type.contains("unsigned"),
            &text(row, 4),
            number(9),
            number(10),
        )
    };
    let generated = !text(row, 7).is_empty();
    Column {
        name: text(row, 1),
        kind,
        loose: false,
        nullable: text(row, 5) == "YES",
        default: Some(text(row, 6)).filter(|default| !is_null(row, 6) && default != "NULL" && !generated),
        generated,
        auto_increment: text(row, 8).contains("auto_increment"),
    }
}

fn kind(
    data_type: &str,
    column_type: &str,
    unsigned: bool,
    collation: &str,
    precision: u64,
    length: u64,
) -> Kind {
    let integer = |bits| Kind::Integer { bits, unsigned };
    match data_type {
        "tinyint" => integer(8),
        "smallint" => integer(16),
        "mediumint" => integer(24),
        "int" => integer(32),
        "bigint" => integer(64),
        "decimal" => Kind::Decimal,
        "float" => Kind::Float { bits: 32 },
        "double" => Kind::Float { bits: 64 },
        "bit" => Kind::Bit { bits: u8::try_from(precision).unwrap_or(64) },
        "year" => Kind::Year,
        "date" => Kind::Date,
        "time" => Kind::Time,
        "datetime" | "timestamp" => Kind::DateTime,
        "json" => Kind::Json,
        "uuid" => Kind::Uuid,
        "enum" => Kind::Enum(choices(column_type)),
        "set" => Kind::Set(choices(column_type)),
        "binary" => Kind::Bytes { fixed: u32::try_from(length).ok() },
        "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => Kind::Bytes { fixed: None },
        // CHAR drops the spaces at the end, whatever its collation says of them.
        "char" | "inet4" | "inet6" => Kind::Text { exact: false },
        "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => {
            Kind::Text { exact: compares_exactly(collation) }
        }
        // Geometries travel in the server's own binary form, which it takes back as it gave it.
        _ => Kind::Bytes { fixed: None },
    }
}

/// Whether equal means equal byte by byte under `collation`: most `_bin` collations still overlook spaces at
/// the end (PAD SPACE); MariaDB's `_nopad_bin` and MySQL's `_0900_bin` do not.
fn compares_exactly(collation: &str) -> bool {
    collation.ends_with("_nopad_bin") || collation.ends_with("_0900_bin")
}

/// The last character of a collation's character set, where it is easily told and less than Unicode's.
fn char_max(collation: &str) -> Option<char> {
    match collation.split('_').next()? {
        "utf8" | "utf8mb3" => Some('\u{ffff}'),
        "ascii" => Some('\x7f'),
        _ => None,
    }
}

/// The texts of `enum('a','b''c')`.
fn choices(column_type: &str) -> Vec<String> {
    let mut choices = Vec::new();
    let mut rest = column_type;
    while let Some(start) = rest.find('\'') {
        let mut choice = String::new();
        rest = &rest[start + 1..];
        while let Some(end) = rest.find('\'') {
            choice.push_str(&rest[..end]);
            rest = &rest[end + 1..];
            if !rest.starts_with('\'') {
                break;
            }
            choice.push('\'');
            rest = &rest[1..];
        }
        choices.push(choice);
    }
    choices
}

pub(super) fn text(row: &Row, place: usize) -> String {
    match row.as_ref(place) {
        Some(Value::Bytes(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
        _ => String::new(),
    }
}

pub(super) fn integer(row: &Row, place: usize) -> Option<u64> {
    match row.as_ref(place)? {
        Value::UInt(number) => Some(*number),
        Value::Int(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}

fn is_null(row: &Row, place: usize) -> bool {
    matches!(row.as_ref(place), None | Some(Value::NULL))
}

#[cfg(test)]
mod tests {
    use super::{choices, compares_exactly, kind};
    use crate::sql::Kind;

    #[test]
    fn the_choices_of_an_enum_are_read_with_their_quotes() {
        assert_eq!(choices("enum('a','b''c','','d,e')"), ["a", "b'c", "", "d,e"]);
        assert_eq!(choices("set('x')"), ["x"]);
    }

    #[test]
    fn only_a_collation_without_padding_compares_exactly() {
        assert!(compares_exactly("utf8mb4_nopad_bin") && compares_exactly("utf8mb4_0900_bin"));
        assert!(!compares_exactly("utf8mb4_bin") && !compares_exactly("utf8mb4_general_ci"));
        let text = |data_type, collation| kind(data_type, "", false, collation, 0, 10);
        assert_eq!(text("varchar", "latin1_nopad_bin"), Kind::Text { exact: true });
        assert_eq!(text("char", "latin1_nopad_bin"), Kind::Text { exact: false });
    }
}
