// SPDX-License-Identifier: MIT OR Apache-2.0
//! A server that dies, hangs and comes back; each test has its own.

use std::sync::Arc;

use throughline_core::{ErrorKind, Loader, Retry};
use throughline_sources::postgres::{PostgresConfig, PostgresSource, PostgresTable};
use throughline_sources::sql::TableMapping;
use throughline_testkit::{Postgres, PostgresOptions, TestTasks};

use crate::fixture::{apply, config_of, intent, key, prepare, put, stranger, value};

async fn start(change: impl FnOnce(&mut PostgresConfig)) -> (Postgres, PostgresSource, Arc<PostgresTable>) {
    let server = Postgres::start(PostgresOptions::fast());
    server.execute(
        "create table t (id int primary key, v varchar(9)); insert into t values (1, 'old'), (2, 'old')",
    );
    let mut config = config_of(&server.url());
    change(&mut config);
    let source = PostgresSource::connect(config, Arc::new(TestTasks)).await.unwrap();
    let table = source.resource(&TableMapping::json("t")).await.unwrap();
    (server, source, table)
}

/// Loads until it works again.
async fn recovered(table: &PostgresTable) -> String {
    loop {
        match table.load(&key("1"), intent(false)).await {
            Ok(loaded) => return String::from_utf8(loaded.record.unwrap().value.to_vec()).unwrap(),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
        }
    }
}

#[tokio::test]
async fn a_killed_server_is_unavailable_and_its_return_is_noticed() {
    let (server, _source, table) = start(|_| ()).await;
    let prepared = prepare(&table, put("1", "{\"v\":\"lost\"}")).await.unwrap();
    value(&table, "1").await;
    server.kill();
    let error = prepared.commit().await.unwrap_err();
    // Whether the end was noticed before COMMIT was sent decides which; both are true.
    let known = [(ErrorKind::Unavailable, Retry::Safe), (ErrorKind::OutcomeUnknown, Retry::Unsafe)];
    assert!(known.contains(&(error.kind(), error.retry())), "{error}");
    let error = table.load(&key("1"), intent(true)).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, Retry::Safe));
    let error = apply(&table, put("1", "{\"v\":\"new\"}")).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, Retry::Safe));
    server.restart();
    assert_eq!(recovered(&table).await, "{\"id\":1,\"v\":\"old\"}");
    apply(&table, put("1", "{\"v\":\"new\"}")).await.unwrap();
    assert_eq!(recovered(&table).await, "{\"id\":1,\"v\":\"new\"}");
}

#[tokio::test]
async fn calls_under_way_when_the_server_dies_say_what_is_known() {
    let (server, _source, table) = start(|_| ()).await;
    let prepared = prepare(&table, put("1", "{\"v\":\"lost\"}")).await.unwrap();
    value(&table, "2").await;
    server.pause();
    let key = key("2");
    let (mut load, mut commit) = (table.load(&key, intent(true)), prepared.commit());
    assert!(futures_util::poll!(&mut load).is_pending() && futures_util::poll!(&mut commit).is_pending());
    let (load, commit, ()) = tokio::join!(load, commit, async {
        // Both statements are on their way once the workers have had their turn.
        tokio::task::yield_now().await;
        server.kill();
    });
    assert_eq!(load.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(commit.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
    server.restart();
    assert_eq!(recovered(&table).await, "{\"id\":1,\"v\":\"old\"}");
}

#[tokio::test]
async fn a_restart_between_two_calls_is_not_noticed() {
    let (server, _source, table) = start(|_| ()).await;
    apply(&table, put("1", "{\"v\":\"new\"}")).await.unwrap();
    server.restart();
    assert_eq!(value(&table, "1").await.as_deref(), Some("{\"id\":1,\"v\":\"new\"}"));
    apply(&table, put("2", "{\"v\":\"new\"}")).await.unwrap();
}

#[tokio::test]
async fn a_server_that_hangs_costs_a_time_out_and_the_connection() {
    let (server, source, table) = start(|config| {
        config.statement_timeout_ms = 1_000;
        config.reader_count = 1;
    })
    .await;
    let opened = source.stats().connections_opened;
    server.pause();
    let error = table.load(&key("1"), intent(true)).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Timeout, Retry::Safe));
    server.resume();
    assert_eq!(recovered(&table).await, "{\"id\":1,\"v\":\"old\"}");
    assert_eq!(source.stats().connections_opened, opened + 1);
}

#[tokio::test]
async fn a_killed_connection_is_replaced() {
    let (server, _source, table) = start(|config| config.reader_count = 1).await;
    value(&table, "1").await;
    let prepared = prepare(&table, put("1", "{\"v\":\"lost\"}")).await.unwrap();
    let others = "select count(pg_terminate_backend(pid)) from pg_stat_activity
        where pid <> pg_backend_pid() and application_name = 'throughline'";
    assert_eq!(server.execute(others).trim(), "2");
    assert_eq!(value(&table, "2").await.as_deref(), Some("{\"id\":2,\"v\":\"old\"}"));
    let error = prepared.commit().await.unwrap_err();
    // Whether the end was noticed before COMMIT was sent decides which; both are true.
    let known = [(ErrorKind::Unavailable, Retry::Safe), (ErrorKind::OutcomeUnknown, Retry::Unsafe)];
    assert!(known.contains(&(error.kind(), error.retry())), "{error}");
    apply(&table, put("1", "{\"v\":\"new\"}")).await.unwrap();
}

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
    let client = stranger(&server.url()).await;
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

#[tokio::test]
async fn a_source_that_is_shut_down_answers_what_waits_and_nothing_else() {
    let (_server, source, table) = start(|_| ()).await;
    let key = key("1");
    let mut waiting = table.load(&key, intent(false));
    assert!(futures_util::poll!(&mut waiting).is_pending());
    source.shut_down();
    assert!(waiting.await.unwrap().record.is_some());
    let error = table.load(&key, intent(false)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
}
