// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads what SQLite says about its tables.

use rusqlite::{Connection, Result, Row};

use crate::sql::outbox::OWN_PREFIX;
use crate::sql::{Action, Column, ForeignKey, Kind, Table, Trigger};

/// All tables and views of the main database, by name.
pub(super) fn read(connection: &Connection) -> Result<Vec<Table>> {
    // Shadow tables belong to virtual ones (full text search) and are nobody's rows.
    let text = "SELECT name, type, wr, strict FROM pragma_table_list
                WHERE schema = 'main' AND type <> 'shadow' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
                ORDER BY name";
    let listed = rows(connection, text, [], |row| {
        Ok(Listed { name: row.get(0)?, kind: row.get(1)?, without_rowid: row.get(2)?, strict: row.get(3)? })
    })?;
    listed
        .into_iter()
        .filter(|listed| !listed.name.starts_with(OWN_PREFIX))
        .map(|listed| table(connection, listed))
        .collect()
}

struct Listed {
    name: String,
    kind: String,
    without_rowid: bool,
    strict: bool,
}

fn table(connection: &Connection, listed: Listed) -> Result<Table> {
    let triggers = triggers(connection, &listed.name)?;
    let mut table = Table {
        schema: None,
        name: listed.name,
        columns: vec![],
        primary_key: vec![],
        has_other_unique: false,
        foreign_keys: vec![],
        triggers,
        unservable: None,
    };
    if listed.kind != "table" {
        table.unservable =
            Some(format!("it is a {}", if listed.kind == "view" { "view" } else { "virtual table" }));
        return Ok(table);
    }
    let found = columns(connection, &table.name)?;
    table.foreign_keys = foreign_keys(connection, &table.name)?;
    let indexes = indexes(connection, &table.name)?;
    table.has_other_unique = indexes.iter().any(|index| index.unique && index.origin != "pk");

    let mut key: Vec<(i64, usize)> = found
        .iter()
        .enumerate()
        .filter(|(_, found)| found.key_place > 0)
        .map(|(place, found)| (found.key_place, place))
        .collect();
    key.sort_unstable();
    table.primary_key = key.into_iter().map(|(_, place)| place).collect();
    // A key without an index of its own is the row's number itself.
    let key_index = indexes.iter().find(|index| index.origin == "pk");
    let is_rowid = table.primary_key.len() == 1 && key_index.is_none() && !listed.without_rowid;
    for found in &found {
        table.columns.push(column(connection, &table.name, found, listed.strict, is_rowid)?);
    }
    let collations = match key_index {
        Some(index) => index_collations(connection, &index.name)?,
        None => vec![],
    };
    table.unservable = key_problem(connection, &table, &found, &collations)?;
    Ok(table)
}

/// A column as `PRAGMA table_xinfo` tells it.
struct Found {
    name: String,
    declared: String,
    not_null: bool,
    default: Option<String>,
    key_place: i64,
    /// 2 and 3: generated, virtual or stored.
    hidden: i64,
}

fn columns(connection: &Connection, table: &str) -> Result<Vec<Found>> {
    let text = "SELECT name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo(?1) WHERE hidden <> 1";
    rows(connection, text, [table], |row| {
        Ok(Found {
            name: row.get(0)?,
            declared: row.get(1)?,
            not_null: row.get(2)?,
            default: row.get(3)?,
            key_place: row.get(4)?,
            hidden: row.get(5)?,
        })
    })
}

fn column(
    connection: &Connection,
    table: &str,
    found: &Found,
    strict: bool,
    is_rowid: bool,
) -> Result<Column> {
    let exact = collation(connection, table, &found.name)? == "BINARY";
    let kind = kind(&found.declared, exact);
    let is_key = found.key_place > 0;
    Ok(Column {
        name: found.name.clone(),
        // A strict column holds its own class only, except that text need not be UTF-8.
        loose: !strict || matches!(kind, Kind::Text { .. } | Kind::Any),
        kind,
        nullable: !found.not_null && !is_key,
        default: found.default.as_deref().map(default_expression),
        generated: matches!(found.hidden, 2 | 3),
        auto_increment: is_key && is_rowid,
    })
}

fn collation(connection: &Connection, table: &str, column: &str) -> Result<String> {
    let (_, collation, ..) = connection.column_metadata(Some("main"), table, column)?;
    Ok(collation.map_or_else(|| "BINARY".into(), |name| name.to_string_lossy().to_ascii_uppercase()))
}

/// The kind of a column that is declared as `declared`: by SQLite's rules of affinity, and by name where a
/// name promises more.
fn kind(declared: &str, exact: bool) -> Kind {
    let declared = declared.to_ascii_uppercase();
    let has = |words: &[&str]| words.iter().any(|word| declared.contains(word));
    match declared.as_str() {
        "BOOL" | "BOOLEAN" => Kind::Bool,
        "JSON" => Kind::Json,
        "" | "ANY" => Kind::Any,
        _ if has(&["INT"]) => Kind::Integer { bits: 64, unsigned: false },
        _ if has(&["CHAR", "CLOB", "TEXT"]) => Kind::Text { exact },
        _ if has(&["BLOB"]) => Kind::Bytes { fixed: None },
        _ if has(&["REAL", "FLOA", "DOUB"]) => Kind::Float { bits: 64 },
        _ if has(&["DEC", "NUMERIC"]) => Kind::Decimal,
        // Dates and all else: numbers are kept as numbers, other text as text.
        _ => Kind::Any,
    }
}

/// A default as it may stand in parentheses. SQLite takes a bare or double-quoted word for a string
/// there, which elsewhere would name a column.
fn default_expression(text: &str) -> String {
    let is_word = text.chars().all(|char| char.is_alphanumeric() || char == '_')
        && text.starts_with(|char: char| char.is_alphabetic() || char == '_');
    let is_constant = ["NULL", "TRUE", "FALSE", "CURRENT_TIME", "CURRENT_DATE", "CURRENT_TIMESTAMP"]
        .iter()
        .any(|known| text.eq_ignore_ascii_case(known));
    let word = match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(quoted) if !quoted.replace("\"\"", "").contains('"') => Some(quoted.replace("\"\"", "\"")),
        _ => (is_word && !is_constant).then(|| text.to_owned()),
    };
    word.map_or_else(|| text.to_owned(), |word| format!("'{}'", word.replace('\'', "''")))
}

/// Why rows of `table` cannot be found by a key's text, if they cannot.
fn key_problem(
    connection: &Connection,
    table: &Table,
    found: &[Found],
    collations: &[String],
) -> Result<Option<String>> {
    if table.primary_key.is_empty() {
        return Ok(Some("it has no primary key".into()));
    }
    for (at, place) in table.primary_key.iter().enumerate() {
        let (column, declared) = (&table.columns[*place], found[*place].declared.as_str());
        let name = &column.name;
        if column.kind == Kind::Any && (declared.is_empty() || declared.eq_ignore_ascii_case("ANY")) {
            return Ok(Some(format!(
                "its key column `{name}` has no type, so `1` may mean a text or a number"
            )));
        }
        if column.kind == Kind::Json {
            return Ok(Some(format!("its key column `{name}` holds JSON")));
        }
        let compares = collation(connection, &table.name, name)?;
        if !["BINARY", "NOCASE", "RTRIM"].contains(&compares.as_str()) {
            return Ok(Some(format!(
                "its key column `{name}` has the collation `{compares}` of another program"
            )));
        }
        if collations.get(at).is_some_and(|unique| *unique != compares) {
            return Ok(Some(format!("its primary key compares `{name}` otherwise than the column does")));
        }
    }
    Ok(None)
}

struct Index {
    name: String,
    unique: bool,
    /// `pk`, `u` (UNIQUE) or `c` (CREATE INDEX).
    origin: String,
}

fn indexes(connection: &Connection, table: &str) -> Result<Vec<Index>> {
    let text = "SELECT name, \"unique\", origin FROM pragma_index_list(?1)";
    rows(connection, text, [table], |row| {
        Ok(Index { name: row.get(0)?, unique: row.get(1)?, origin: row.get(2)? })
    })
}

fn index_collations(connection: &Connection, index: &str) -> Result<Vec<String>> {
    let text = "SELECT upper(coll) FROM pragma_index_xinfo(?1) WHERE \"key\" = 1 ORDER BY seqno";
    rows(connection, text, [index], |row| row.get(0))
}

fn foreign_keys(connection: &Connection, table: &str) -> Result<Vec<ForeignKey>> {
    let text = "SELECT \"table\", on_delete, on_update FROM pragma_foreign_key_list(?1) WHERE seq = 0";
    rows(connection, text, [table], |row| {
        Ok(ForeignKey {
            parent: row.get(0)?,
            on_delete: Action::parse(&row.get::<_, String>(1)?),
            on_update: Action::parse(&row.get::<_, String>(2)?),
        })
    })
}

fn triggers(connection: &Connection, table: &str) -> Result<Vec<Trigger>> {
    let text = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE";
    rows(connection, text, [table], |row| {
        let statement: String = row.get(1)?;
        Ok(Trigger { name: row.get(0)?, body: trigger_body(&statement).to_owned() })
    })
}

/// What stands behind a trigger's BEGIN: its head names the table that it belongs to.
fn trigger_body(statement: &str) -> &str {
    let upper = statement.to_ascii_uppercase();
    let is_word = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let begin = upper.match_indices("BEGIN").find(|(at, word)| {
        let before = at.checked_sub(1).and_then(|before| upper.as_bytes().get(before));
        !is_word(before) && !is_word(upper.as_bytes().get(at + word.len()))
    });
    begin.map_or(statement, |(at, word)| &statement[at + word.len()..])
}

fn rows<T, P: rusqlite::Params>(
    connection: &Connection,
    text: &str,
    parameters: P,
    read: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut statement = connection.prepare(text)?;
    statement.query_map(parameters, read)?.collect()
}

#[cfg(test)]
mod tests;
