// SPDX-License-Identifier: MIT OR Apache-2.0
//! A server that dies, hangs and comes back; each test has its own.

use std::sync::Arc;

use throughline_core::{ErrorKind, Loader, Retry};
use throughline_sources::mysql::{MysqlConfig, MysqlSource, MysqlTable};
use throughline_sources::sql::TableMapping;
use throughline_testkit::{Mariadb, MariadbOptions, TestTasks};

use crate::fixture::{apply, intent, key, prepare, put, value};

async fn start(change: impl FnOnce(&mut MysqlConfig)) -> (Mariadb, MysqlSource, Arc<MysqlTable>) {
    let server = Mariadb::start(MariadbOptions::fast());
    server.execute(
        "create table t (id int primary key, v varchar(9)); insert into t values (1, 'old'), (2, 'old')",
    );
    let mut config = MysqlConfig::parse_url(&server.url()).unwrap();
    change(&mut config);
    let source = MysqlSource::connect(config, &TestTasks).await.unwrap();
    let table = source.resource(&TableMapping::json("t")).await.unwrap();
    (server, source, table)
}

/// Loads until it works again.
async fn recovered(table: &MysqlTable) -> String {
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
    assert_eq!((error.kind(), error.retry()), (ErrorKind::OutcomeUnknown, Retry::Unsafe));
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
        config.statement_timeout_ms = 200;
        config.connect_timeout_ms = 200;
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
    let others =
        "select id from information_schema.processlist where id <> connection_id() and user = 'throughline'";
    for id in server.execute(others).lines() {
        server.execute(&format!("kill {id}"));
    }
    assert_eq!(value(&table, "2").await.as_deref(), Some("{\"id\":2,\"v\":\"old\"}"));
}

#[tokio::test]
async fn the_server_counts_the_same_round_trips() {
    let (server, source, table) = start(|config| {
        config.reader_count = 1;
        config.writer_count = 1;
    })
    .await;
    for _ in 0..2 {
        // The first time prepares the statements and opens the writer's connection.
        let before = (questions(&server), source.stats());
        apply(&table, put("1", "{\"v\":\"new\"}")).await.unwrap();
        table.load(&key("1"), intent(true)).await.unwrap();
        let after = (questions(&server), source.stats());
        let ours = after.1.write_statements - before.1.write_statements + after.1.read_statements
            - before.1.read_statements;
        assert_eq!(ours, 4);
        if before.1.connections_opened == after.1.connections_opened {
            assert_eq!(after.0 - before.0, ours);
        }
    }
}

/// The statements that clients executed, without this one's.
fn questions(server: &Mariadb) -> u64 {
    let names =
        "'Com_select', 'Com_update', 'Com_insert', 'Com_delete', 'Com_commit', 'Com_begin', 'Com_rollback'";
    let sum = format!("show global status where variable_name in ({names})");
    let counts = server.execute(&sum);
    counts.lines().map(|line| line.rsplit('\t').next().unwrap().parse::<u64>().unwrap()).sum()
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
