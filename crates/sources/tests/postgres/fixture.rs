// SPDX-License-Identifier: MIT OR Apache-2.0
//! A database of its own for each test, and short words for what tests do with it.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use throughline_core::{
    Change, Condition, Effect, Intent, Key, Loaded, Loader, Prepared, Result, Sent, Target, Tasks, Write,
    Writer,
};
use throughline_sources::postgres::{PostgresConfig, PostgresSource, PostgresTable};
use throughline_sources::sql::TableMapping;
use throughline_testkit::{Postgres, PostgresOptions, TestTasks};
use tokio_postgres::{Client, NoTls};

/// The server that all tests share.
pub(crate) fn server() -> &'static Postgres {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    SERVER.get_or_init(|| Postgres::start(PostgresOptions::fast()))
}

/// Settings whose limits a busy machine does not reach; tests of a limit set their own.
pub(crate) fn config_of(url: &str) -> PostgresConfig {
    PostgresConfig {
        connect_timeout_ms: 60_000,
        statement_timeout_ms: 60_000,
        lock_timeout_ms: 60_000,
        prepared_life_ms: 60_000,
        ..PostgresConfig::parse_url(url).unwrap()
    }
}

/// A database with a source that is connected to it.
pub(crate) struct Database {
    pub(crate) name: &'static str,
    pub(crate) url: String,
    pub(crate) source: PostgresSource,
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
        change: impl FnOnce(&mut PostgresConfig),
    ) -> Self {
        let url = server().create_database(name);
        server().execute_in(name, schema);
        let mut config = config_of(&url);
        change(&mut config);
        let source = PostgresSource::connect(config, Arc::new(TestTasks)).await.unwrap();
        Self { name, url, source }
    }

    /// A database with a table `t` of whole numbers and texts, in which rows 1 to `count` hold `old`.
    pub(crate) async fn with_rows(name: &'static str, count: u32) -> (Self, Arc<PostgresTable>) {
        let schema = format!(
            "create table t (id int primary key, v varchar(100)); insert into t select n, 'old' from generate_series(1, {count}) n"
        );
        let database = Self::new(name, &schema).await;
        let table = database.table("t").await;
        (database, table)
    }

    pub(crate) async fn table(&self, name: &str) -> Arc<PostgresTable> {
        self.source.resource(&TableMapping::json(name)).await.unwrap()
    }

    /// Runs statements as another program would; lines of columns parted by tabs.
    pub(crate) fn sql(&self, sql: &str) -> String {
        server().execute_in(self.name, sql).trim_end().to_owned()
    }

    /// The table `t`, as another daemon has it.
    pub(crate) async fn another_daemon(&self) -> Arc<PostgresTable> {
        let config = config_of(&self.url);
        let source = PostgresSource::connect(config, Arc::new(TestTasks)).await.unwrap();
        source.resource(&TableMapping::json("t")).await.unwrap()
    }

    /// A connection of another program.
    pub(crate) async fn stranger(&self) -> Client {
        stranger(&self.url).await
    }
}

/// A connection of another program.
pub(crate) async fn stranger(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    TestTasks.spawn("a stranger's connection", Box::pin(async move { drop(connection.await) }));
    client
}

pub(crate) fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

pub(crate) fn intent(fill: bool) -> Intent {
    Intent { fill, sent: Sent::new() }
}

/// Loads a row for a fill.
pub(crate) async fn fill(table: &PostgresTable, text: &str) -> Loaded {
    table.load(&key(text), intent(true)).await.unwrap()
}

/// The value of a row as text, read plainly.
pub(crate) async fn value(table: &PostgresTable, text: &str) -> Option<String> {
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

pub(crate) async fn prepare(table: &PostgresTable, write: Write) -> Result<Box<dyn Prepared>> {
    Writer::prepare(table, &[write]).await
}

/// Prepares and commits one write.
pub(crate) async fn apply(table: &PostgresTable, write: Write) -> Result<Effect> {
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
