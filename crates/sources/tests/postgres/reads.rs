// SPDX-License-Identifier: MIT OR Apache-2.0
//! Look-ups: joined, cancelled, probed.

use futures_util::future::join_all;
use throughline_core::{Condition, ErrorKind, Key, Loader, Target, Write};

use crate::fixture::{Database, apply, delete, fill, intent, key, prepare, put, value};
use crate::server::another_daemon;

/// The probe of a fill, and what it says once the writer is done, while another daemon has prepared `write`.
async fn beside(name: &'static str, write: Write) -> [(Option<bytes::Bytes>, bool); 2] {
    let (database, table) = Database::with_rows(name, 5).await;
    let other = another_daemon(&database.url).await;
    let before = value(&table, write_key(&write)).await;
    let prepared = prepare(&other, write.clone()).await.unwrap();
    let during = fill(&table, write_key(&write)).await;
    assert_eq!(value(&table, write_key(&write)).await, before, "a plain read neither waits nor sees it");
    prepared.commit().await.unwrap();
    let after = fill(&table, write_key(&write)).await;
    [during, after].map(|loaded| (loaded.record.map(|record| record.value), loaded.fillable))
}

fn write_key(write: &Write) -> &str {
    match &write.target {
        Target::Key(key) => key.as_str(),
        Target::New => unreachable!("these writes name their key"),
    }
}

#[tokio::test]
async fn a_fill_while_another_daemon_updates_the_key_is_refused() {
    let [during, after] = beside("reads_update", put("5", "{\"v\":\"new\"}")).await;
    assert_eq!(during, (Some("{\"id\":5,\"v\":\"old\"}".into()), false));
    assert_eq!(after, (Some("{\"id\":5,\"v\":\"new\"}".into()), true));
}

#[tokio::test]
async fn an_insert_that_is_not_committed_refuses_the_fill_of_absence() {
    let [during, after] = beside("reads_insert", put("6", "{\"v\":\"new\"}")).await;
    assert_eq!(during, (None, false));
    assert_eq!(after, (Some("{\"id\":6,\"v\":\"new\"}".into()), true));
}

#[tokio::test]
async fn a_delete_that_is_not_committed_refuses_the_fill() {
    let [during, after] = beside("reads_delete", delete("5", Condition::Always)).await;
    assert_eq!(during, (Some("{\"id\":5,\"v\":\"old\"}".into()), false));
    assert_eq!(after, (None, true));
}

#[tokio::test]
async fn a_locked_key_refuses_only_its_own_fill() {
    let (database, table) = Database::with_rows("reads_one_locked", 100).await;
    let prepared = prepare(&table, put("42", "{\"v\":\"new\"}")).await.unwrap();
    let before = database.source.stats();
    let keys: Vec<Key> = (1..=64).map(|id| key(&id.to_string())).collect();
    let loaded = table.load_many(&keys, intent(true)).await.unwrap();
    for (key, loaded) in keys.iter().zip(loaded) {
        assert_eq!(loaded.record.unwrap().value, format!("{{\"id\":{key},\"v\":\"old\"}}"));
        assert_eq!(loaded.fillable, key.as_str() != "42");
    }
    let after = database.source.stats();
    assert_eq!(after.probes_refused - before.probes_refused, 1);
    assert_eq!(after.read_statements - before.read_statements, 1);
    assert_eq!(after.probe_statements - before.probe_statements, 1);
    prepared.commit().await.unwrap();
}

#[tokio::test]
async fn a_probe_leaves_no_lock_behind_whether_granted_or_refused() {
    let (database, table) = Database::with_rows("reads_no_lock", 10).await;
    let prepared = prepare(&table, put("5", "{\"v\":\"new\"}")).await.unwrap();
    let keys: Vec<Key> = (1..=300).map(|id| key(&id.to_string())).collect();
    table.load_many(&keys, intent(true)).await.unwrap();
    prepared.roll_back().await.unwrap();
    table.load_many(&keys, intent(true)).await.unwrap();
    let locks = "select count(*) from pg_locks where locktype = 'advisory'
        and database = (select oid from pg_database where datname = current_database())";
    assert_eq!(database.sql(locks), "0");
}

#[tokio::test]
async fn the_applications_own_advisory_locks_stand_in_nobodys_way() {
    let (database, table) = Database::with_rows("reads_strangers", 1).await;
    let mut stranger = database.stranger().await;
    // One number of 64 bits, and two of 32, over the whole range that a key's number could have.
    stranger.run("select pg_advisory_lock(17228::bigint << 32 | n) from generate_series(0, 99) n").await;
    stranger.run("select pg_advisory_lock(1, 1)").await;
    assert!(fill(&table, "1").await.fillable);
}

#[tokio::test]
async fn a_key_that_the_server_cannot_read_does_not_harm_its_neighbours() {
    let schema = "create type colour as enum ('red', 'green');
        create table e (k colour primary key); insert into e values ('red'), ('green');
        create table d (k date primary key); insert into d values ('2024-01-01'), ('2024-01-02');
        create table i (k inet primary key); insert into i values ('10.0.0.1'), ('::1')";
    let database = Database::new("reads_uncomparable", schema).await;
    for (name, names) in [
        ("e", ["red", "blue", "green"]),
        ("d", ["2024-01-01", "x", "2024-01-02"]),
        ("i", ["10.0.0.1/32", "x", "::1/128"]),
    ] {
        let table = database.table(name).await;
        let keys = names.map(|name| Key::from_parts([name.as_bytes()]).unwrap());
        let loads = join_all(keys.iter().map(|key| table.load(key, intent(true)))).await;
        for neighbour in [&loads[0], &loads[2]] {
            let loaded = neighbour.as_ref().unwrap();
            assert!(loaded.record.is_some() && loaded.fillable, "{name}: {loaded:?}");
        }
        assert_eq!(loads[1].as_ref().unwrap_err().kind(), ErrorKind::InvalidKey, "{name}");
    }
    let table = database.table("e").await;
    assert_eq!(table.load(&key("a%00"), intent(true)).await.unwrap_err().kind(), ErrorKind::InvalidKey);
}

#[tokio::test]
async fn keys_of_every_spelling_find_their_rows_among_many() {
    let schema = "create table t (a text, b varchar(20), c uuid, d bool, primary key (a, b, c, d))";
    let database = Database::new("reads_spelling", schema).await;
    let table = database.table("t").await;
    let id = "0192f0c1-2345-7abc-8def-0123456789ab";
    let texts = ["", "a\"b", "a\\b", "{a,b}", "NULL", " x ", "ключ", "a,b", "''"];
    let mut keys: Vec<Key> = Vec::new();
    for text in texts {
        for flag in ["true", "false"] {
            let parts = [text, text, id, flag].map(str::as_bytes);
            keys.push(Key::from_parts(parts).unwrap());
        }
    }
    for key in &keys {
        apply(&table, put(key.as_str(), "{}")).await.unwrap();
    }
    let before = database.source.stats().read_statements;
    let loaded = table.load_many(&keys, intent(true)).await.unwrap();
    assert!(loaded.iter().all(|loaded| loaded.record.is_some() && loaded.fillable), "{loaded:?}");
    assert_eq!(database.source.stats().read_statements - before, 1);
    for key in &keys {
        let loaded = table.load(key, intent(true)).await.unwrap();
        assert!(loaded.record.is_some() && loaded.fillable, "{key}");
    }
}
