// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the suites of `../servers` mean on MariaDB.

use std::sync::OnceLock;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use throughline_core::{ErrorKind, Result, Retry};
use throughline_sources::OutboxFeed;
use throughline_sources::mysql::MysqlSource;
use throughline_sources::sql::{Consumer, Table as Definition};
use throughline_testkit::{MariadbOptions, TestTasks};

pub(crate) use throughline_sources::mysql::{
    MysqlConfig as Config, MysqlSource as Source, MysqlTable as Table,
};
pub(crate) use throughline_testkit::Mariadb as Server;

/// What errors call it.
pub(crate) const NAME: &str = "MySQL";
/// Round trips of: a put of a row, a put of a new row, the same with a condition, a delete.
pub(crate) const WRITE_COSTS: [u64; 4] = [3, 3, 2, 2];
/// What a commit may say whose server was killed.
pub(crate) const LOST_COMMIT: &[(ErrorKind, Retry)] = &[(ErrorKind::OutcomeUnknown, Retry::Unsafe)];
/// The type of a column of versions.
pub(crate) const VERSION: &str = "bigint unsigned";
/// What a time column may have besides its default.
pub(crate) const ON_UPDATE: &str = "on update current_timestamp";
/// Tables whose keys are made: `num` by the database, from 40 on; the others by us or a default.
pub(crate) const MADE_KEYS: (&str, &[&str]) = (
    "create table num (id bigint unsigned auto_increment primary key, v int) auto_increment = 40;
     create table txt (id char(36) primary key, v int);
     create table bin (id binary(16) primary key, v int);
     create table uid (id uuid primary key default uuid(), v int);",
    &["txt", "bin", "uid"],
);
/// Tables whose text keys compare loosely, with the rows `Anna` and `bob`, and another spelling of the latter.
pub(crate) const LOOSE_KEYS: (&str, &[&str], &str) = (
    "create table a (k varchar(20) collate utf8mb4_general_ci primary key, n int);
     insert into a values ('Anna', 1), ('bob', 2)",
    &["a"],
    "BOB%20",
);
/// A table `c` with a key of bytes and a number, the rows `%00%FF%3A` with the largest number and `a:1`.
pub(crate) const COMPOSITE_KEY: (&str, &str) = (
    "create table c (b varbinary(10), n bigint unsigned, v text, primary key (b, n));
     insert into c values (x'00ff3a', 18446744073709551615, 'x'), ('a', 1, 'y')",
    "%00%FF%3A:18446744073709551615",
);
/// Tables that are truncated, and how that shows: `t` by its counter, `plain` by InnoDB's number.
pub(crate) const TRUNCATED: (&str, &[&str]) = (
    "create table t (id int primary key auto_increment, v int); insert into t values (1, 1), (2, 2); \
     create table plain (id varchar(9) primary key); insert into plain values ('a')",
    &["t", "plain"],
);
/// Takes one of the outbox's triggers on `t` away.
pub(crate) const BREAK_TRIGGER: &str = "drop trigger tl_t_update";
/// A trigger on `t` that is not ours.
pub(crate) const OTHER_TRIGGER: &str = "create trigger mine after insert on t for each row set @x = 1";
/// All that an outbox may leave behind.
pub(crate) const DUMP: &str = "show create table t; show tables; select trigger_name, action_statement from \
    information_schema.triggers where trigger_schema = database()";

/// A COMMIT on the wire, and nothing else.
pub(crate) const COMMIT: &[u8] = b"\x03COMMIT";

/// The server that all tests share.
pub(crate) fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(start)
}

/// A server for one test.
pub(crate) fn start() -> Server {
    Server::start(MariadbOptions::fast())
}

pub(crate) fn config_of(url: &str) -> Config {
    Config::parse_url(url).unwrap()
}

/// Limits that a server which hangs reaches soon.
pub(crate) fn hurry(config: &mut Config) {
    config.statement_timeout_ms = 200;
    config.connect_timeout_ms = 200;
}

pub(crate) async fn connect(config: Config) -> Result<Source> {
    MysqlSource::connect(config, &TestTasks).await
}

/// Makes our own tables.
pub(crate) async fn install(config: Config) {
    throughline_sources::mysql::install(config).await.unwrap();
}

/// Runs statements as another program would; lines of columns parted by tabs.
pub(crate) fn run_in(database: &str, sql: &str) -> String {
    server().execute(&format!("use `{database}`; {sql}"))
}

/// A SELECT of the numbers 1 to `count`, each with `value`.
pub(crate) fn numbered(value: &str, count: u32) -> String {
    format!("select seq, {value} from seq_1_to_{count}")
}

/// An aggregate of `value`, in the order of `order`, with commas.
pub(crate) fn joined(value: &str, order: &str) -> String {
    format!("group_concat({value} order by {order})")
}

/// Makes an account that may only read the database.
pub(crate) fn make_reader(database: &str, name: &str, password: &str) {
    let sql = format!(
        "create user {name}@'%' identified by '{password}'; grant select on {database}.* to {name}@'%'"
    );
    server().execute(&sql);
}

pub(crate) fn write_round_trips(source: &Source) -> u64 {
    source.stats().write_statements
}

/// Ends every connection of ours.
pub(crate) fn kill_connections(server: &Server) {
    let others =
        "select id from information_schema.processlist where id <> connection_id() and user = 'throughline'";
    for id in server.execute(others).lines() {
        server.execute(&format!("kill {id}"));
    }
}

pub(crate) fn feed_of(source: &Source, tables: &[&Definition], consumer: Consumer) -> OutboxFeed {
    source.feed(tables, consumer, &TestTasks)
}

pub(crate) async fn outbox_statements(config: Config, names: &[String]) -> Result<Vec<String>> {
    MysqlSource::outbox_statements(config, names).await
}

pub(crate) async fn install_outbox(config: Config, names: &[String]) -> Result<Vec<String>> {
    MysqlSource::install_outbox(config, names).await
}

pub(crate) async fn remove_own(config: Config) {
    MysqlSource::remove_own(config).await.unwrap();
}

/// A connection of another program.
pub(crate) struct Stranger(pub(crate) Conn);

impl Stranger {
    pub(crate) async fn connect(url: &str) -> Self {
        Self(Conn::from_url(url).await.unwrap())
    }

    pub(crate) async fn run(&mut self, sql: &str) {
        self.0.query_drop(sql).await.unwrap();
    }
}
