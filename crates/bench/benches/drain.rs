// SPDX-License-Identifier: MIT OR Apache-2.0
//! How many rows per second does a drain write, beside one UPDATE after the other?
//!
//! Ours: batches of 500 accepted writes, each a transaction with its watermark and the rows read back, one batch after
//! the other. Bare: one client, an autocommitted prepared UPDATE of one row, again and again. The same server, its
//! default durability, tables of 10,000 rows of an integer key and a text of 100 characters; every write changes its
//! row. Twice: with every row there before, and with a second unique index, which costs MariaDB a look before.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use throughline_bench::{Claim, Rounds, print_machine};
use throughline_core::{Applied, Change, Condition, Drain, Key, Target, Write};
use throughline_sources::mysql::{self, MysqlConfig, MysqlSource};
use throughline_sources::postgres::{self, PostgresConfig, PostgresSource};
use throughline_sources::sql::TableMapping;
use throughline_testkit::contract::drain::Line;
use throughline_testkit::{Mariadb, MariadbOptions, Postgres, PostgresOptions, TestTasks};
use tokio::runtime::{Builder, Runtime};

const SEED: u64 = 1;
const ROWS: usize = 10_000;
const BATCH: usize = 500;
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(2);
const TABLES: [(&str, &str); 2] = [("plain", ""), ("unique_too", ", UNIQUE (mark)")];

fn main() {
    print_machine("rows per second of a drain, beside one UPDATE after the other", SEED);
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    mariadb(&runtime);
    postgresql(&runtime);
}

fn schema(name: &str, index: &str) -> String {
    format!(
        "CREATE TABLE {name} (id BIGINT PRIMARY KEY, mark BIGINT NOT NULL, body VARCHAR(100) NOT NULL{index});"
    )
}

fn text(number: usize) -> String {
    format!("{number:->100}")
}

fn mariadb(runtime: &Runtime) {
    use mysql_async::prelude::Queryable as _;
    let server = Mariadb::start(MariadbOptions::default());
    let url = server.create_database("shop");
    let config = MysqlConfig::parse_url(&url).unwrap();
    for (name, index) in TABLES {
        server.execute(&format!(
            "USE shop; {} INSERT INTO {name} SELECT seq, seq, 'old' FROM seq_1_to_{ROWS}",
            schema(name, index)
        ));
    }
    runtime.block_on(mysql::install(config.clone())).unwrap();
    let source = runtime.block_on(MysqlSource::connect(config, &TestTasks)).unwrap();
    for (name, _) in TABLES {
        let table = runtime.block_on(source.resource(&TableMapping::json(name))).unwrap();
        let drain = runtime.block_on(table.drain()).unwrap();
        let mut connection = runtime.block_on(mysql_async::Conn::from_url(&url)).unwrap();
        let sql = format!("UPDATE {name} SET body = ? WHERE id = ?");
        compare(runtime, "MariaDB", name, &drain, |number| {
            let row = (text(number), number % ROWS + 1);
            runtime.block_on(connection.exec_drop(&sql, row)).unwrap();
        });
        runtime.block_on(connection.disconnect()).unwrap();
    }
}

fn postgresql(runtime: &Runtime) {
    let server = Postgres::start(PostgresOptions::default());
    let url = server.create_database("shop");
    let config = PostgresConfig::parse_url(&url).unwrap();
    for (name, index) in TABLES {
        server.execute_in(
            "shop",
            &format!(
                "{} INSERT INTO {name} SELECT n, n, 'old' FROM generate_series(1, {ROWS}) n",
                schema(name, index)
            ),
        );
    }
    runtime.block_on(postgres::install(config.clone(), Arc::new(TestTasks))).unwrap();
    let source = runtime.block_on(PostgresSource::connect(config, Arc::new(TestTasks))).unwrap();
    for (name, _) in TABLES {
        let table = runtime.block_on(source.resource(&TableMapping::json(name))).unwrap();
        let drain = runtime.block_on(table.drain()).unwrap();
        let (client, connection) =
            runtime.block_on(tokio_postgres::connect(&url, tokio_postgres::NoTls)).unwrap();
        runtime.spawn(async move { connection.await.unwrap() });
        let sql = format!("UPDATE {name} SET body = $1 WHERE id = $2");
        let statement = runtime.block_on(client.prepare(&sql)).unwrap();
        compare(runtime, "PostgreSQL", name, &drain, |number| {
            let (body, id) = (text(number), (number % ROWS + 1) as i64);
            runtime.block_on(client.execute(&statement, &[&body, &id])).unwrap();
        });
    }
}

/// Rounds of batches and of single updates; `update` does the one of this number.
fn compare(
    runtime: &Runtime,
    server: &str,
    table: &str,
    drain: &Arc<dyn Drain>,
    mut update: impl FnMut(usize),
) {
    let mut line = runtime.block_on(Line::claim(drain, 1, "bench"));
    let mut rounds = Rounds::default();
    let (mut applied, mut updated) = (0, 0);
    for _ in 0..ROUNDS {
        let (began, before) = (Instant::now(), applied);
        while began.elapsed() < ROUND {
            let batch: Vec<Write> = (applied..applied + BATCH).map(put).collect();
            let all = runtime.block_on(line.apply(&batch));
            assert!(all.iter().all(|applied| *applied == Applied::Exact));
            applied += BATCH;
        }
        let ours = (applied - before) as f64 / began.elapsed().as_secs_f64();
        let (began, before) = (Instant::now(), updated);
        while began.elapsed() < ROUND {
            update(updated);
            updated += 1;
        }
        rounds.add(ours, (updated - before) as f64 / began.elapsed().as_secs_f64());
    }
    println!("{server}, table `{table}`: {applied} rows in batches of {BATCH}, {updated} rows one by one");
    rounds.print("drained", "autocommitted UPDATE by one client", "rows/s", Claim::AtLeast(10.0));
}

/// The accepted write of this number.
fn put(number: usize) -> Write {
    let id = number % ROWS + 1;
    let value = format!("{{\"id\":{id},\"mark\":{id},\"body\":\"{}\"}}", text(number));
    Write {
        target: Target::Key(Key::parse(&id.to_string()).unwrap()),
        change: Change::Put { value: value.into(), flags: 0 },
        condition: Condition::Always,
    }
}
