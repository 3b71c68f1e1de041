// SPDX-License-Identifier: MIT OR Apache-2.0
//! Opens connections and runs statements on them.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Row};
use throughline_core::{Error, ErrorKind, Result};

use super::SqliteConfig;
use super::map::{Bound, error};
use crate::sql::Value;

/// How many statements a connection keeps prepared. Each resource has about five that recur.
const STATEMENT_COUNT_MAX: usize = 128;

/// What each reading connection keeps of the file in its memory.
const PAGE_CACHE_KIB: u32 = 16 * 1024;

/// The database file's name without its folder, for errors.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Opens the connection that writes, and with it the database: makes the file and chooses its journal mode.
pub(super) fn open_writer(config: &SqliteConfig) -> Result<Connection> {
    if config.path.as_os_str().is_empty() || config.path.as_os_str() == ":memory:" {
        let detail = "an SQLite source needs a file: each connection would have a memory of its own";
        return Err(Error::new(ErrorKind::Configuration, OPEN, detail));
    }
    let file = file_name(&config.path);
    let fails = |cause| error(OPEN, &file, cause);
    let connection = open(config, config.read_only)?;
    // A file that the system lets us only read is opened so, whatever was asked for.
    let writable = !connection.is_readonly(rusqlite::MAIN_DB).map_err(fails)?;
    if writable {
        // Readers then never wait for the writer, nor the writer for them.
        let mode = |row: &Row<'_>| row.get::<_, String>(0);
        connection.query_row("PRAGMA journal_mode = WAL", [], mode).map_err(fails)?;
        // A commit is on the disk when it is acknowledged.
        connection.execute_batch("PRAGMA synchronous = FULL").map_err(fails)?;
    }
    connection.execute_batch("PRAGMA foreign_keys = ON").map_err(fails)?;
    // The first statement that reads the file tells whether it is a database at all.
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).map_err(fails)?;
    Ok(connection)
}

/// Opens a connection that only reads.
pub(super) fn open_reader(config: &SqliteConfig) -> Result<Connection> {
    let connection = open(config, config.read_only)?;
    connection
        .execute_batch(&format!("PRAGMA query_only = ON; PRAGMA cache_size = -{PAGE_CACHE_KIB}"))
        .map_err(|cause| error(OPEN, &file_name(&config.path), cause))?;
    Ok(connection)
}

/// Opens a connection that writes and leaves the file's settings as they are.
pub(super) fn open_plainly(config: &SqliteConfig) -> Result<Connection> {
    open(config, false)
}

const OPEN: &str = "open an SQLite database";

fn open(config: &SqliteConfig, read_only: bool) -> Result<Connection> {
    let access = match (read_only, config.create) {
        (true, _) => OpenFlags::SQLITE_OPEN_READ_ONLY,
        (false, false) => OpenFlags::SQLITE_OPEN_READ_WRITE,
        (false, true) => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
    };
    let fails = |cause| error(OPEN, &file_name(&config.path), cause);
    // Each connection stays on its thread, so SQLite's own mutexes would only cost.
    let connection =
        Connection::open_with_flags(&config.path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(fails)?;
    let wait = Duration::from_millis(config.busy_timeout_ms.into());
    connection.busy_timeout(wait).map_err(fails)?;
    connection.set_prepared_statement_cache_capacity(STATEMENT_COUNT_MAX);
    Ok(connection)
}

/// Runs `text` with `values` bound and hands each row to `row`, until there is none; returns how many
/// rows there were.
pub(super) fn run<'v>(
    connection: &Connection,
    text: &str,
    values: impl IntoIterator<Item = &'v Value>,
    mut row: impl FnMut(&Row<'_>),
) -> rusqlite::Result<usize> {
    let mut statement = connection.prepare_cached(text)?;
    for (place, value) in values.into_iter().enumerate() {
        statement.raw_bind_parameter(place + 1, Bound(value))?;
    }
    let mut rows = statement.raw_query();
    let mut count = 0;
    while let Some(next) = rows.next()? {
        row(next);
        count += 1;
    }
    Ok(count)
}

/// Runs `statements` in one transaction if the database has no table yet.
pub(super) fn seed(connection: &Connection, statements: &str) -> rusqlite::Result<()> {
    let empty = "SELECT NOT EXISTS (SELECT 1 FROM sqlite_master)";
    if connection.query_row(empty, [], |row| row.get(0))? {
        connection.execute_batch(&format!("BEGIN IMMEDIATE; {statements}; COMMIT;"))?;
    }
    Ok(())
}
