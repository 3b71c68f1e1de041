// SPDX-License-Identifier: MIT OR Apache-2.0
//! A database of its own for each test, and short words for what tests do with it. What a word means to one
//! server is in `crate::server`.

use std::sync::Arc;

use bytes::Bytes;
use throughline_core::{
    Change, Condition, Effect, Intent, Key, Loaded, Loader, Prepared, Result, Sent, Target, Write, Writer,
};
use throughline_sources::sql::TableMapping;

use crate::server::{Config, Source, Stranger, Table, connect, numbered, run_in};
pub(crate) use crate::server::{config_of, server};

/// A database with a source that is connected to it.
pub(crate) struct Database {
    pub(crate) name: &'static str,
    pub(crate) url: String,
    pub(crate) source: Source,
}

impl Database {
    /// Makes a database called `name` with the tables of `schema`.
    pub(crate) async fn new(name: &'static str, schema: &str) -> Self {
        Self::with_config(name, schema, |_| ()).await
    }

    /// The same with settings of its own.
    pub(crate) async fn with_config(
        name: &'static str,
        schema: &str,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let url = server().create_database(name);
        run_in(name, schema);
        let mut config = config_of(&url);
        change(&mut config);
        let source = connect(config).await.unwrap();
        Self { name, url, source }
    }

    /// A database with a table `t` of whole numbers and texts, in which rows 1 to `count` hold `old`.
    pub(crate) async fn with_rows(name: &'static str, count: u32) -> (Self, Arc<Table>) {
        let rows = numbered("'old'", count);
        let schema = format!("create table t (id int primary key, v varchar(100)); insert into t {rows}");
        let database = Self::new(name, &schema).await;
        let table = database.table("t").await;
        (database, table)
    }

    pub(crate) async fn table(&self, name: &str) -> Arc<Table> {
        self.source.resource(&TableMapping::json(name)).await.unwrap()
    }

    /// Runs statements as another program would; lines of columns parted by tabs.
    pub(crate) fn sql(&self, sql: &str) -> String {
        run_in(self.name, sql).trim_end().to_owned()
    }

    /// A connection of another program.
    pub(crate) async fn stranger(&self) -> Stranger {
        Stranger::connect(&self.url).await
    }
}

pub(crate) fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

pub(crate) fn intent(fill: bool) -> Intent {
    Intent { fill, sent: Sent::new() }
}

/// Loads a row for a fill.
pub(crate) async fn fill(table: &Table, text: &str) -> Loaded {
    table.load(&key(text), intent(true)).await.unwrap()
}

/// The value of a row as text, read plainly.
pub(crate) async fn value(table: &Table, text: &str) -> Option<String> {
    let loaded = table.load(&key(text), intent(false)).await.unwrap();
    loaded.record.map(|record| String::from_utf8(record.value.to_vec()).unwrap())
}

pub(crate) fn put(text: &str, json: &str) -> Write {
    put_if(text, json, Condition::Always)
}

pub(crate) fn put_if(text: &str, json: &str, condition: Condition) -> Write {
    Write {
        target: Target::Key(key(text)),
        change: Change::Put { value: Bytes::copy_from_slice(json.as_bytes()), flags: 0 },
        condition,
    }
}

pub(crate) fn create(json: &str) -> Write {
    Write { target: Target::New, ..put("0", json) }
}

pub(crate) fn delete(text: &str, condition: Condition) -> Write {
    Write { target: Target::Key(key(text)), change: Change::Delete, condition }
}

pub(crate) async fn prepare(table: &Table, write: Write) -> Result<Box<dyn Prepared>> {
    Writer::prepare(table, &[write]).await
}

/// Prepares and commits one write.
pub(crate) async fn apply(table: &Table, write: Write) -> Result<Effect> {
    let prepared = prepare(table, write).await?;
    let effect = prepared.effects()[0].clone();
    prepared.commit().await?;
    Ok(effect)
}

/// The key and value of a stored record, and whether it is new.
pub(crate) fn stored(effect: &Effect) -> (String, String, bool) {
    match effect {
        Effect::Stored { key, record: Some(record), created } => {
            (key.to_string(), String::from_utf8(record.value.to_vec()).unwrap(), *created)
        }
        other => panic!("not stored: {other:?}"),
    }
}
