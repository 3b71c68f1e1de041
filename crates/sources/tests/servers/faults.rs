// SPDX-License-Identifier: MIT OR Apache-2.0
//! A server that dies, hangs and comes back; each test has its own.

use std::sync::Arc;

use throughline_core::{ErrorKind, Loader, Retry};
use throughline_sources::sql::TableMapping;

use crate::fixture::{apply, config_of, intent, key, prepare, put, value};
use crate::server::{Config, LOST_COMMIT, Server, Source, Table, connect, hurry, kill_connections};

/// A server of its own with a source and a table `t`.
pub(crate) async fn start(change: impl FnOnce(&mut Config)) -> (Server, Source, Arc<Table>) {
    let server = crate::server::start();
    server.execute(
        "create table t (id int primary key, v varchar(9)); insert into t values (1, 'old'), (2, 'old')",
    );
    let mut config = config_of(&server.url());
    change(&mut config);
    let source = connect(config).await.unwrap();
    let table = source.resource(&TableMapping::json("t")).await.unwrap();
    (server, source, table)
}

/// Loads until it works again.
async fn recovered(table: &Table) -> String {
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
    assert!(LOST_COMMIT.contains(&(error.kind(), error.retry())), "{error}");
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
        hurry(config);
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
    kill_connections(&server);
    assert_eq!(value(&table, "2").await.as_deref(), Some("{\"id\":2,\"v\":\"old\"}"));
    let error = prepared.commit().await.unwrap_err();
    assert!(LOST_COMMIT.contains(&(error.kind(), error.retry())), "{error}");
    apply(&table, put("1", "{\"v\":\"new\"}")).await.unwrap();
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
