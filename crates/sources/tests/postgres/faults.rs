// SPDX-License-Identifier: MIT OR Apache-2.0
//! A server that dies, hangs and comes back; each test has its own.

use std::sync::Arc;

use throughline_core::{ErrorKind, Loader, Retry};
use throughline_sources::postgres::PostgresSource;
use throughline_sources::sql::TableMapping;
use throughline_testkit::{Postgres, PostgresOptions, TestTasks};

use crate::fixture::{apply, config_of, intent, key, put, value};
use crate::server::Stranger;
use crate::servers::faults::start;

#[tokio::test]
async fn a_lock_that_another_program_holds_is_a_time_out() {
    let (server, _source, table) = start(|config| config.lock_timeout_ms = 100).await;
    let lock = "begin; update t set v = 'x'; select pg_sleep(60)";
    let server = Arc::new(server);
    let holder = Arc::clone(&server);
    let held = std::thread::spawn(move || holder.execute(lock));
    let waits = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'";
    while server.execute(waits).trim() != "1" {}
    let error = apply(&table, put("1", "{\"v\":\"new\"}")).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Timeout, Retry::Safe));
    assert!(
        table.load(&key("1"), intent(true)).await.unwrap().record.is_some(),
        "readers do not wait for it"
    );
    server.execute("select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'PgSleep'");
    held.join().unwrap_err();
    apply(&table, put("1", "{\"v\":\"new\"}")).await.unwrap();
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_stopped_by_the_server() {
    let (server, source, table) = start(|config| {
        config.statement_timeout_ms = 1_000;
        config.lock_timeout_ms = 60_000;
        config.reader_count = 1;
    })
    .await;
    value(&table, "1").await;
    let opened = source.stats().connections_opened;
    let server = Arc::new(server);
    let holder = Arc::clone(&server);
    // A lock that even readers wait for.
    let held = std::thread::spawn(move || holder.execute("begin; lock table t; select pg_sleep(60)"));
    while server.execute("select count(*) from pg_stat_activity where wait_event = 'PgSleep'").trim() != "1" {
    }
    let error = table.load(&key("1"), intent(true)).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Timeout, Retry::Safe));
    server.execute("select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'PgSleep'");
    held.join().unwrap_err();
    assert!(table.load(&key("1"), intent(true)).await.unwrap().fillable);
    assert_eq!(source.stats().connections_opened, opened, "the connection goes on");
}

#[tokio::test]
async fn a_server_without_room_for_locks_declines_fills_and_answers_all_the_same() {
    let server = Postgres::start(PostgresOptions {
        durable: false,
        settings: ["max_connections=16", "max_locks_per_transaction=10"].map(str::to_owned).to_vec(),
    });
    server.execute("create table t (id int primary key, v text)");
    let config = config_of(&server.url());
    let source = PostgresSource::connect(config, Arc::new(TestTasks)).await.unwrap();
    let table = source.resource(&TableMapping::json("t")).await.unwrap();
    // Somebody uses the room up.
    let client = Stranger::connect(&server.url()).await.0;
    let greedy = "do $$ begin loop perform pg_advisory_lock(nextval('s')); end loop;
        exception when out_of_memory then null; end $$";
    client.batch_execute("create sequence s").await.unwrap();
    client.batch_execute(greedy).await.unwrap();
    client
        .batch_execute("select pg_advisory_lock(n) from generate_series(1000000, 1000010) n")
        .await
        .unwrap_err();
    // Room for the SELECT, and not for 128 probes.
    client.batch_execute("select pg_advisory_unlock(n) from generate_series(1, 50) n").await.unwrap();
    let keys: Vec<_> = (1..=300).map(|id| key(&id.to_string())).collect();
    let loaded = table.load_many(&keys, intent(true)).await.unwrap();
    assert!(loaded.iter().any(|loaded| !loaded.fillable));
    client.batch_execute("select pg_advisory_unlock_all()").await.unwrap();
    let loaded = table.load_many(&keys, intent(true)).await.unwrap();
    assert!(loaded.iter().all(|loaded| loaded.fillable));
}
