// SPDX-License-Identifier: MIT OR Apache-2.0
//! Look-ups: joined, cancelled, probed.

use futures_util::future::join_all;
use mysql_async::prelude::Queryable;
use throughline_core::{ErrorKind, Key, Loader};

use crate::fixture::{Database, fill, intent, key, value};

/// What a fill and a plain read say of key 5 while `statement` is not committed, and after.
async fn while_uncommitted(name: &'static str, statement: &str) -> [(Option<bytes::Bytes>, bool); 2] {
    let (database, table) = Database::with_rows(name, 4).await;
    database.sql("insert into t values (5, 'old')");
    if statement.starts_with("insert") {
        database.sql("delete from t where id = 5");
    }
    let before = value(&table, "5").await;
    let mut stranger = database.stranger().await;
    stranger.run("begin").await;
    stranger.run(statement).await;
    let during = fill(&table, "5").await;
    assert_eq!(value(&table, "5").await, before, "a plain read neither waits nor sees what is not committed");
    stranger.run("commit").await;
    let after = fill(&table, "5").await;
    [during, after].map(|loaded| (loaded.record.map(|record| record.value), loaded.fillable))
}

#[tokio::test]
async fn an_uncommitted_update_refuses_the_fill() {
    let [during, after] = while_uncommitted("reads_update", "update t set v = 'new' where id = 5").await;
    assert_eq!(during, (Some("{\"id\":5,\"v\":\"old\"}".into()), false));
    assert_eq!(after, (Some("{\"id\":5,\"v\":\"new\"}".into()), true));
}

#[tokio::test]
async fn an_uncommitted_insert_refuses_the_fill_of_absence() {
    let [during, after] = while_uncommitted("reads_insert", "insert into t values (5, 'new')").await;
    assert_eq!(during, (None, false));
    assert_eq!(after, (Some("{\"id\":5,\"v\":\"new\"}".into()), true));
}

#[tokio::test]
async fn an_uncommitted_delete_refuses_the_fill() {
    let [during, after] = while_uncommitted("reads_delete", "delete from t where id = 5").await;
    assert_eq!(during, (Some("{\"id\":5,\"v\":\"old\"}".into()), false));
    assert_eq!(after, (None, true));
}

#[tokio::test]
async fn a_locked_key_refuses_only_its_own_fill() {
    let (database, table) = Database::with_rows("reads_one_locked", 100).await;
    let mut stranger = database.stranger().await;
    stranger.run("begin").await;
    stranger.run("update t set v = 'new' where id = 42").await;
    let before = database.source.stats();
    let keys: Vec<Key> = (1..=64).map(|id| key(&id.to_string())).collect();
    let loaded = table.load_many(&keys, intent(true)).await.unwrap();
    for (key, loaded) in keys.iter().zip(loaded) {
        assert_eq!(loaded.record.unwrap().value, format!("{{\"id\":{key},\"v\":\"old\"}}"));
        assert_eq!(loaded.fillable, key.as_str() != "42");
    }
    let after = database.source.stats();
    assert_eq!(after.probes_refused - before.probes_refused, 1);
    // 1 + 2 × 6 to find one of 64, and the plain read of that one.
    assert_eq!(after.read_statements - before.read_statements, 14);
}

#[tokio::test]
async fn many_locked_keys_cost_a_bounded_number_of_statements() {
    let (database, table) = Database::with_rows("reads_all_locked", 100).await;
    let mut stranger = database.stranger().await;
    stranger.run("begin").await;
    stranger.run("update t set v = 'new'").await;
    let before = database.source.stats().read_statements;
    let keys: Vec<Key> = (1..=100).map(|id| key(&id.to_string())).collect();
    let loaded = table.load_many(&keys, intent(true)).await.unwrap();
    assert!(loaded.iter().all(|loaded| !loaded.fillable && loaded.record.is_some()));
    assert_eq!(database.source.stats().read_statements - before, 17);
}

#[tokio::test]
async fn a_probe_leaves_no_lock_behind_whether_granted_or_refused() {
    let (database, table) = Database::with_rows("reads_no_lock", 10).await;
    let mut stranger = database.stranger().await;
    stranger.run("begin").await;
    stranger.run("update t set v = 'new' where id = 5").await;
    let keys: Vec<Key> = (1..=10).map(|id| key(&id.to_string())).collect();
    table.load_many(&keys, intent(true)).await.unwrap();
    stranger.run("rollback").await;
    table.load_many(&keys, intent(true)).await.unwrap();
    // Would fail at once if any lock were left.
    let mut conn = database.stranger().await;
    conn.run("begin").await;
    let rows: Vec<u32> = conn.0.query("select id from t for update nowait").await.unwrap();
    assert_eq!(rows.len(), 10);
}

#[tokio::test]
async fn a_key_that_cannot_be_compared_does_not_harm_its_neighbours() {
    let schema =
        "create table w (k varchar(20) character set latin1 primary key); insert into w values ('a'), ('b');
        create table u (k varchar(20) character set utf8mb3 primary key); insert into u values ('a'), ('b');
        create table d (k date primary key); insert into d values ('2024-01-01'), ('2024-01-02')";
    let database = Database::new("reads_uncomparable", schema).await;
    for (name, names) in
        [("w", ["a", "😀", "b"]), ("u", ["a", "😀", "b"]), ("d", ["2024-01-01", "x", "2024-01-02"])]
    {
        let table = database.table(name).await;
        let keys = names.map(key);
        let loads = join_all(keys.iter().map(|key| table.load(key, intent(true)))).await;
        for neighbour in [&loads[0], &loads[2]] {
            let loaded = neighbour.as_ref().unwrap();
            assert!(loaded.record.is_some() && loaded.fillable, "{name}: {loaded:?}");
        }
        match &loads[1] {
            Ok(loaded) => assert!(loaded.record.is_none() && !loaded.fillable, "{name}: {loaded:?}"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::InvalidKey, "{name}: {error}"),
        }
    }
}
