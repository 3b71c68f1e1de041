// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the suites of `../servers` mean on PostgreSQL.

use std::sync::{Arc, OnceLock};

use throughline_core::{ErrorKind, Result, Retry, Tasks};
use throughline_sources::OutboxFeed;
use throughline_sources::postgres::PostgresSource;
use throughline_sources::sql::{Consumer, Table as Definition, TableMapping};
use throughline_testkit::{PostgresOptions, TestTasks};
use tokio_postgres::{Client, NoTls};

pub(crate) use throughline_sources::postgres::{
    PostgresConfig as Config, PostgresSource as Source, PostgresTable as Table,
};
pub(crate) use throughline_testkit::Postgres as Server;

/// What errors call it.
pub(crate) const NAME: &str = "PostgreSQL";
/// Round trips of: a put of a row (UPDATE and COMMIT), a put of a new row (an INSERT between), the same with a
/// condition (INSERT and COMMIT), a delete.
pub(crate) const WRITE_COSTS: [u64; 4] = [2, 3, 2, 2];
/// What a commit may say whose server was killed: whether the end was noticed before COMMIT was sent decides which,
/// and both are true.
pub(crate) const LOST_COMMIT: &[(ErrorKind, Retry)] =
    &[(ErrorKind::Unavailable, Retry::Safe), (ErrorKind::OutcomeUnknown, Retry::Unsafe)];
/// The type of a column of versions.
pub(crate) const VERSION: &str = "bigint";
/// What a time column may have besides its default.
pub(crate) const ON_UPDATE: &str = "";
/// Tables whose keys are made: `num` by the database, from 40 on; the others by us or a default.
pub(crate) const MADE_KEYS: (&str, &[&str]) = (
    "create table num (id bigint generated always as identity (start 40) primary key, v int);
     create table ser (id serial primary key, v int);
     create table txt (id text primary key, v int);
     create table bin (id bytea primary key, v int);
     create table uid (id uuid primary key default gen_random_uuid(), v int);",
    &["txt", "bin", "uid", "ser"],
);
/// Tables whose text keys compare loosely, with the rows `Anna` and `bob`, and another spelling of the latter. The
/// extension lives where the account's search path does not look.
pub(crate) const LOOSE_KEYS: (&str, &[&str], &str) = (
    "create schema elsewhere; create extension citext schema elsewhere;
     create collation loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
     create table a (k elsewhere.citext primary key, n int);
     create table b (k text collate loose primary key, n int);
     create table c (k char(10) collate loose primary key, n int);
     insert into a values ('Anna', 1), ('bob', 2); insert into b table a; insert into c table a",
    &["a", "b", "c"],
    "BOB",
);
/// A table `c` with a key of bytes and a number, the rows `%00%FF%3A` with the largest number and `a:1`.
pub(crate) const COMPOSITE_KEY: (&str, &str) = (
    "create table c (b bytea, n bigint, v text, primary key (b, n));
     insert into c values ('\\x00ff3a', 9223372036854775807, 'x'), ('a', 1, 'y')",
    "%00%FF%3A:9223372036854775807",
);
/// Tables that are truncated.
pub(crate) const TRUNCATED: (&str, &[&str]) =
    ("create table t (id int primary key, v int); insert into t values (1, 1)", &["t"]);
/// Takes one of the outbox's triggers on `t` away.
pub(crate) const BREAK_TRIGGER: &str = "alter table t disable trigger tl_t_update";
/// A trigger on `t` that is not ours.
pub(crate) const OTHER_TRIGGER: &str = "create function mine() returns trigger language plpgsql as \
    $$ begin return null; end $$; create trigger mine after insert on t for each row execute function mine()";
/// All that an outbox may leave behind.
pub(crate) const DUMP: &str = "select relname, relkind from pg_class c join pg_namespace n on n.oid = relnamespace \
    where nspname = 'public' order by 1; select tgname from pg_trigger where not tgisinternal order by 1; \
    select proname from pg_proc p join pg_namespace n on n.oid = pronamespace where nspname = 'public'";

/// A COMMIT on the wire, and nothing else.
pub(crate) const COMMIT: &[u8] = b"COMMIT\0";

/// The server that all tests share.
pub(crate) fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(start)
}

/// A server for one test.
pub(crate) fn start() -> Server {
    Server::start(PostgresOptions::fast())
}

/// Settings whose limits a busy machine does not reach; tests of a limit set their own.
pub(crate) fn config_of(url: &str) -> Config {
    Config {
        connect_timeout_ms: 60_000,
        statement_timeout_ms: 60_000,
        lock_timeout_ms: 60_000,
        prepared_life_ms: 60_000,
        ..Config::parse_url(url).unwrap()
    }
}

/// Limits that a server which hangs reaches soon.
pub(crate) fn hurry(config: &mut Config) {
    config.statement_timeout_ms = 1_000;
}

pub(crate) async fn connect(config: Config) -> Result<Source> {
    PostgresSource::connect(config, Arc::new(TestTasks)).await
}

/// Makes our own tables.
pub(crate) async fn install(config: Config) {
    throughline_sources::postgres::install(config, Arc::new(TestTasks)).await.unwrap();
}

/// Runs statements as another program would; lines of columns parted by tabs.
pub(crate) fn run_in(database: &str, sql: &str) -> String {
    server().execute_in(database, sql)
}

/// A SELECT of the numbers 1 to `count`, each with `value`.
pub(crate) fn numbered(value: &str, count: u32) -> String {
    format!("select n, {value} from generate_series(1, {count}) n")
}

/// An aggregate of `value`, in the order of `order`, with commas.
pub(crate) fn joined(value: &str, order: &str) -> String {
    format!("string_agg(({value})::text, ',' order by {order})")
}

/// Makes an account that may only read the table `t` of the database.
pub(crate) fn make_reader(database: &str, name: &str, password: &str) {
    run_in(database, &format!("create role {name} login password '{password}'; grant select on t to {name}"));
}

pub(crate) fn write_round_trips(source: &Source) -> u64 {
    source.stats().write_round_trips
}

/// Ends every connection of ours: a reader's and a writer's.
pub(crate) fn kill_connections(server: &Server) {
    let others = "select count(pg_terminate_backend(pid)) from pg_stat_activity
        where pid <> pg_backend_pid() and application_name = 'throughline'";
    assert_eq!(server.execute(others).trim(), "2");
}

pub(crate) fn feed_of(source: &Source, tables: &[&Definition], consumer: Consumer) -> OutboxFeed {
    source.feed(tables, consumer)
}

pub(crate) async fn outbox_statements(config: Config, names: &[String]) -> Result<Vec<String>> {
    PostgresSource::outbox_statements(config, names, Arc::new(TestTasks)).await
}

pub(crate) async fn install_outbox(config: Config, names: &[String]) -> Result<Vec<String>> {
    PostgresSource::install_outbox(config, names, Arc::new(TestTasks)).await
}

pub(crate) async fn remove_own(config: Config) {
    PostgresSource::remove_own(config, Arc::new(TestTasks)).await.unwrap();
}

/// A connection of another program.
pub(crate) struct Stranger(pub(crate) Client);

impl Stranger {
    pub(crate) async fn connect(url: &str) -> Self {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        TestTasks.spawn("a stranger's connection", Box::pin(async move { drop(connection.await) }));
        Self(client)
    }

    pub(crate) async fn run(&mut self, sql: &str) {
        self.0.batch_execute(sql).await.unwrap();
    }
}

/// The table `t` of a database, as another daemon has it.
pub(crate) async fn another_daemon(url: &str) -> Arc<Table> {
    let source = connect(config_of(url)).await.unwrap();
    source.resource(&TableMapping::json("t")).await.unwrap()
}
