// SPDX-License-Identifier: MIT OR Apache-2.0
//! A database file in a scratch folder, opened by a source and, as another program would, by hand.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use rusqlite::Connection;
use tempfile::TempDir;
use throughline_core::{
    Change, Condition, Effect, Intent, Key, Loaded, Loader, Record, Result, Sent, Target, Write, Writer,
};
use throughline_sources::sql::TableMapping;
use throughline_sources::sqlite::{SqliteConfig, SqliteSource, SqliteTable};

pub(crate) struct Database {
    pub(crate) folder: TempDir,
    pub(crate) source: SqliteSource,
}

impl Database {
    pub(crate) fn new(schema: &str) -> Self {
        Self::with(schema, |_| ())
    }

    pub(crate) fn with(schema: &str, change: impl FnOnce(&mut SqliteConfig)) -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder can be made");
        let mut config = SqliteConfig::new(folder.path().join("shop.db"));
        let connection = Connection::open(&config.path).expect("a new file can be opened");
        connection.execute_batch(schema).expect("the schema is right");
        drop(connection);
        change(&mut config);
        let source = SqliteSource::open(&config).expect("the file can be opened");
        Self { folder, source }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("shop.db")
    }

    pub(crate) fn table(&self, name: &str) -> Arc<SqliteTable> {
        self.mapped(&TableMapping::json(name))
    }

    pub(crate) fn mapped(&self, settings: &TableMapping) -> Arc<SqliteTable> {
        self.source.resource(settings).expect("the table can be a resource")
    }

    /// A connection of another program.
    pub(crate) fn other(&self) -> Connection {
        Connection::open(self.path()).expect("the file can be opened")
    }
}

pub(crate) fn key(text: &str) -> Key {
    Key::parse(text).expect("a short key")
}

pub(crate) fn intent(fill: bool) -> Intent {
    Intent { fill, sent: Sent::new() }
}

pub(crate) fn put(key_text: &str, value: &str) -> Write {
    Write {
        target: Target::Key(key(key_text)),
        change: Change::Put { value: Bytes::copy_from_slice(value.as_bytes()), flags: 0 },
        condition: Condition::Always,
    }
}

pub(crate) fn create(value: &str) -> Write {
    Write { target: Target::New, ..put("0", value) }
}

pub(crate) fn delete(key_text: &str) -> Write {
    Write { target: Target::Key(key(key_text)), change: Change::Delete, condition: Condition::Always }
}

/// Prepares and commits one write.
pub(crate) async fn apply(table: &SqliteTable, write: Write) -> Result<Effect> {
    let prepared = table.prepare(&[write]).await?;
    let effect = prepared.effects()[0].clone();
    prepared.commit().await?;
    Ok(effect)
}

pub(crate) async fn load(table: &SqliteTable, key_text: &str) -> Loaded {
    table.load(&key(key_text), intent(true)).await.expect("a healthy source answers")
}

pub(crate) async fn value(table: &SqliteTable, key_text: &str) -> Option<String> {
    load(table, key_text).await.record.map(|record| text(&record))
}

pub(crate) fn text(record: &Record) -> String {
    String::from_utf8(record.value.to_vec()).expect("the record is text")
}

/// Key, record and whether it was created.
pub(crate) fn stored(effect: Effect) -> (String, Record, bool) {
    match effect {
        Effect::Stored { key, record: Some(record), created } => (key.as_str().to_owned(), record, created),
        other => panic!("expected a stored record, got {other:?}"),
    }
}
