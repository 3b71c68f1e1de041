// SPDX-License-Identifier: MIT OR Apache-2.0
//! The statements that give a file its outbox, and those that take it away.

use throughline_core::{Error, ErrorKind, Result};

use super::super::{SqliteConfig, catalogue, client, map};
use super::NOW_MS;
use crate::sql::outbox::{Event, OUTBOX, OWN_PREFIX, trigger_name};
use crate::sql::{APPLIED, Dialect, Table};

const INSTALL: &str = "install an outbox";

/// The statements that make the outbox and the triggers on `names`, in their order. Again, they do no harm.
///
/// # Errors
/// [`ErrorKind::Configuration`] for a table that is not there or whose changes triggers cannot tell.
pub fn outbox_statements(config: &SqliteConfig, names: &[String]) -> Result<Vec<String>> {
    let connection = client::open_reader(config)?;
    let file = client::file_name(&config.path);
    let fails = |cause| map::error(INSTALL, &file, cause);
    let encoding: String =
        connection.pragma_query_value(None, "encoding", |row| row.get(0)).map_err(fails)?;
    if encoding != "UTF-8" {
        let detail = format!("`{file}` keeps its text as {encoding}: only UTF-8 is read by triggers");
        return Err(Error::new(ErrorKind::Configuration, INSTALL, detail));
    }
    let tables = catalogue::read(&connection).map_err(fails)?;
    let mut statements = vec![format!(
        "CREATE TABLE IF NOT EXISTS {OUTBOX} (id INTEGER PRIMARY KEY, tbl TEXT NOT NULL, k TEXT, \
         at INTEGER NOT NULL DEFAULT ({NOW_MS}))"
    )];
    for name in names {
        let table = tables.iter().find(|table| table.name == *name);
        let table = table.ok_or_else(|| refused(name, "there is no such table"))?;
        if let Some(reason) = &table.unservable {
            return Err(refused(name, reason));
        }
        if table.has_other_unique {
            return Err(refused(
                name,
                "it has another unique index, by which another program's REPLACE removes rows without any trigger; \
                 without an outbox its entries are dropped as a whole when the file changes",
            ));
        }
        statements.extend(Event::ALL.into_iter().flat_map(|event| triggers(table, event)));
    }
    Ok(statements)
}

/// Makes the outbox and the triggers on `names`.
///
/// # Errors
/// As [`outbox_statements`], and [`ErrorKind::Timeout`] when another program holds the file.
pub fn install_outbox(config: &SqliteConfig, names: &[String]) -> Result<Vec<String>> {
    let statements = outbox_statements(config, names)?;
    run(config, &statements)?;
    Ok(statements)
}

/// Removes every trigger and table of ours.
///
/// # Errors
/// As [`install_outbox`].
pub fn remove_own(config: &SqliteConfig) -> Result<Vec<String>> {
    let connection = client::open_reader(config)?;
    let file = client::file_name(&config.path);
    let text = "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND name LIKE 'tl\\_%' ESCAPE '\\' ORDER BY name";
    let names = connection
        .prepare(text)
        .and_then(|mut statement| {
            let names = statement.query_map([], |row| row.get::<_, String>(0))?;
            names.collect::<rusqlite::Result<Vec<_>>>()
        })
        .map_err(|cause| map::error(INSTALL, &file, cause))?;
    let mut statements: Vec<String> =
        names.iter().map(|name| format!("DROP TRIGGER IF EXISTS {}", quoted(name))).collect();
    statements.extend([OUTBOX, APPLIED].map(|table| format!("DROP TABLE IF EXISTS {table}")));
    run(config, &statements)?;
    Ok(statements)
}

fn run(config: &SqliteConfig, statements: &[String]) -> Result<()> {
    let connection = client::open_plainly(config)?;
    let text = format!("BEGIN IMMEDIATE; {}; COMMIT", statements.join("; "));
    let file = client::file_name(&config.path);
    connection.execute_batch(&text).map_err(|cause| map::error(INSTALL, &file, cause))
}

fn triggers(table: &Table, event: Event) -> [String; 2] {
    let name = quoted(&trigger_name(&table.name, event));
    debug_assert!(name.contains(OWN_PREFIX));
    let literal = format!("'{}'", table.name.replace('\'', "''"));
    let row = |row| format!("{literal}, {}", key(table, row));
    let rows = match event {
        Event::Insert => format!("VALUES ({})", row("NEW")),
        Event::Delete => format!("VALUES ({})", row("OLD")),
        // Both keys of a row that changed its key, and one of a row that kept it.
        Event::Update => format!("SELECT {} UNION SELECT {}", row("OLD"), row("NEW")),
    };
    let word = event.as_str().to_ascii_uppercase();
    let on = quoted(&table.name);
    [
        format!("DROP TRIGGER IF EXISTS {name}"),
        format!("CREATE TRIGGER {name} AFTER {word} ON {on} BEGIN INSERT INTO {OUTBOX} (tbl, k) {rows}; END"),
    ]
}

/// The parts of a row's key; null when one is a floating point number, whose text is not exact.
fn key(table: &Table, row: &str) -> String {
    let part = |column: &crate::sql::Column| {
        let cell = format!("{row}.{}", quoted(&column.name));
        format!("CASE typeof({cell}) WHEN 'real' THEN NULL ELSE hex({cell}) END")
    };
    table.key_columns().map(part).collect::<Vec<_>>().join(" || ',' || ")
}

fn quoted(name: &str) -> String {
    let mut text = String::new();
    Dialect::Sqlite.push_name(name, &mut text);
    text
}

fn refused(table: &str, why: &str) -> Error {
    Error::new(ErrorKind::Configuration, INSTALL, format!("table `{table}`: {why}"))
}
