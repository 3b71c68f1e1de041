// SPDX-License-Identifier: MIT OR Apache-2.0
//! Look-ups: joined, cancelled, probed.

use std::time::Duration;

use futures_util::future::join_all;
use mysql_async::prelude::Queryable;
use throughline_core::{Canonical, ErrorKind, Key, Loader, Rng};

use crate::fixture::{Database, apply, delete, fill, intent, key, put, value};

#[tokio::test]
async fn concurrent_look_ups_become_one_query() {
    let (database, table) = Database::with_rows("reads_joined", 64).await;
    value(&table, "1").await;
    let before = database.source.stats();
    let keys: Vec<Key> = (1..=64).map(|id| key(&id.to_string())).collect();
    let loads = join_all(keys.iter().map(|key| table.load(key, intent(true)))).await;
    for (id, loaded) in (1..=64).zip(loads) {
        let loaded = loaded.unwrap();
        let expected = format!("{{\"id\":{id},\"v\":\"old\"}}");
        assert_eq!(loaded.record.unwrap().value, expected);
        assert!(loaded.fillable);
    }
    let after = database.source.stats();
    assert_eq!(after.read_statements - before.read_statements, 1);
    assert_eq!(after.keys_read - before.keys_read, 64);
}

#[tokio::test]
async fn a_thousand_keys_are_one_query_and_answered_in_their_order() {
    let (database, table) = Database::with_rows("reads_many", 500).await;
    let before = database.source.stats().read_statements;
    let keys: Vec<Key> = (0..1_000).map(|n| key(&((n * 7) % 1_000).to_string())).collect();
    let loaded = table.load_many(&keys, intent(true)).await.unwrap();
    for (key, loaded) in keys.iter().zip(loaded) {
        let id: u32 = key.as_str().parse().unwrap();
        let expected = (1..=500).contains(&id).then(|| format!("{{\"id\":{id},\"v\":\"old\"}}"));
        assert_eq!(loaded.record.map(|record| record.value), expected.map(Into::into));
        assert!(loaded.fillable);
    }
    assert_eq!(database.source.stats().read_statements - before, 1);
    let error = table.load_many(&vec![key("1"); 1_001], intent(true)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn dropped_futures_never_shift_an_answer() {
    let (_database, table) = Database::with_rows("reads_dropped", 200).await;
    let seed = 7;
    let rng = Rng::from_seed(seed);
    let mut cancelled_count = 0;
    while cancelled_count < 1_000 {
        let keys: Vec<Key> = (0..32).map(|_| key(&(1 + rng.below(200)).to_string())).collect();
        let limits: Vec<u64> = (0..32).map(|_| rng.below(800)).collect();
        let loads = keys.iter().zip(limits).map(|(key, limit)| {
            let load = table.load(key, intent(limit % 2 == 0));
            tokio::time::timeout(Duration::from_micros(limit), load)
        });
        for (key, loaded) in keys.iter().zip(join_all(loads).await) {
            let Ok(loaded) = loaded else {
                cancelled_count += 1;
                continue;
            };
            let expected = format!("{{\"id\":{key},\"v\":\"old\"}}");
            assert_eq!(loaded.unwrap().record.unwrap().value, expected, "seed {seed}");
        }
    }
    for id in 1..=200 {
        let expected = format!("{{\"id\":{id},\"v\":\"old\"}}");
        assert_eq!(value(&table, &id.to_string()).await, Some(expected));
    }
}

/// What a fill and a plain read say of key 5 while `statement` is not committed, and after.
async fn while_uncommitted(name: &'static str, statement: &str) -> [(Option<bytes::Bytes>, bool); 2] {
    let (database, table) = Database::with_rows(name, 4).await;
    database.sql("insert into t values (5, 'old')");
    if statement.starts_with("insert") {
        database.sql("delete from t where id = 5");
    }
    let before = value(&table, "5").await;
    let mut stranger = database.stranger().await;
    stranger.query_drop("begin").await.unwrap();
    stranger.query_drop(statement).await.unwrap();
    let during = fill(&table, "5").await;
    assert_eq!(value(&table, "5").await, before, "a plain read neither waits nor sees what is not committed");
    stranger.query_drop("commit").await.unwrap();
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
    stranger.query_drop("begin").await.unwrap();
    stranger.query_drop("update t set v = 'new' where id = 42").await.unwrap();
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
    stranger.query_drop("begin").await.unwrap();
    stranger.query_drop("update t set v = 'new'").await.unwrap();
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
    stranger.query_drop("begin").await.unwrap();
    stranger.query_drop("update t set v = 'new' where id = 5").await.unwrap();
    let keys: Vec<Key> = (1..=10).map(|id| key(&id.to_string())).collect();
    table.load_many(&keys, intent(true)).await.unwrap();
    stranger.query_drop("rollback").await.unwrap();
    table.load_many(&keys, intent(true)).await.unwrap();
    // Would fail at once if any lock were left.
    let mut conn = database.stranger().await;
    conn.query_drop("begin").await.unwrap();
    let rows: Vec<u32> = conn.query("select id from t for update nowait").await.unwrap();
    assert_eq!(rows.len(), 10);
}

#[tokio::test]
async fn a_plain_load_is_never_fillable_and_the_flag_is_tripped() {
    let (_database, table) = Database::with_rows("reads_plain", 1).await;
    let plain = intent(false);
    let loaded = table.load(&key("1"), plain.clone()).await.unwrap();
    assert!(!loaded.fillable && plain.sent.is_tripped());
}

#[tokio::test]
async fn a_key_that_is_not_canonical_is_answered_but_not_fillable() {
    let (_database, table) = Database::with_rows("reads_canonical", 7).await;
    assert_eq!(table.canonical(&key("007")).unwrap(), Canonical::Other(key("7")));
    let keys = [key("007"), key("7"), key("08")];
    let loaded = table.load_many(&keys, intent(true)).await.unwrap();
    let seen: Vec<_> = loaded.iter().map(|loaded| (loaded.record.is_some(), loaded.fillable)).collect();
    assert_eq!(seen, [(true, false), (true, true), (false, false)]);
    let error = table.load(&key("x"), intent(true)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidKey);
}

#[tokio::test]
async fn text_that_compares_loosely_is_fillable_only_under_its_stored_key() {
    let schema = "create table w (k varchar(20) collate utf8mb4_general_ci primary key, n int);
        insert into w values ('Anna', 1), ('bob', 2)";
    let database = Database::new("reads_collation", schema).await;
    let table = database.table("w").await;
    let seen = async |names: &[&str]| {
        let keys: Vec<Key> = names.iter().map(|name| key(name)).collect();
        let loaded = table.load_many(&keys, intent(true)).await.unwrap();
        loaded.iter().map(|loaded| (loaded.record.is_some(), loaded.fillable)).collect::<Vec<_>>()
    };
    assert_eq!(seen(&["Anna"]).await, [(true, true)]);
    assert_eq!(seen(&["ANNA"]).await, [(true, false)]);
    assert_eq!(seen(&["carl"]).await, [(false, false)]);
    assert_eq!(
        seen(&["anna", "bob", "BOB%20", "carl"]).await,
        [(true, false), (true, true), (true, false), (false, false)]
    );
    let effect = apply(&table, put("ANNA", "{\"n\":3}")).await.unwrap();
    assert_eq!(crate::fixture::stored(&effect).0, "Anna");
    let effect = apply(&table, delete("BOB", throughline_core::Condition::Always)).await.unwrap();
    assert_eq!(effect, throughline_core::Effect::Deleted { key: key("bob") });
}

#[tokio::test]
async fn a_composite_key_of_bytes_and_numbers_finds_its_row() {
    let schema = "create table c (b varbinary(10), n bigint unsigned, v text, primary key (b, n));
        insert into c values (x'00ff3a', 18446744073709551615, 'x'), ('a', 1, 'y')";
    let database = Database::new("reads_composite", schema).await;
    let table = database.table("c").await;
    let keys = [key("%00%FF%3A:18446744073709551615"), key("a:1"), key("a:2")];
    let loaded = table.load_many(&keys, intent(true)).await.unwrap();
    let seen: Vec<_> = loaded.iter().map(|loaded| (loaded.record.is_some(), loaded.fillable)).collect();
    assert_eq!(seen, [(true, true), (true, true), (false, true)]);
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

#[tokio::test]
async fn a_long_decimal_key_means_one_row() {
    let schema = "create table n (k decimal(30,2) primary key, v int);
        insert into n values (1234567890123456789012345678.25, 1), (1234567890123456789012345678.50, 2)";
    let database = Database::new("reads_decimal", schema).await;
    let table = database.table("n").await;
    let found = value(&table, "1234567890123456789012345678.5").await.unwrap();
    assert_eq!(found, "{\"k\":1234567890123456789012345678.50,\"v\":2}");
    assert!(!fill(&table, "1234567890123456789012345678.5").await.fillable);
    assert!(fill(&table, "1234567890123456789012345678.50").await.fillable);
    apply(&table, put("1234567890123456789012345678.25", "{\"v\":9}")).await.unwrap();
    assert_eq!(database.sql("select group_concat(v order by k) from n"), "9,2");
}

#[tokio::test]
async fn a_full_queue_is_overloaded() {
    let schema = "create table t (id int primary key)";
    let database = Database::with_config("reads_overloaded", schema, |config| config.queue_len_max = 2).await;
    let table = database.table("t").await;
    let keys = [key("1"), key("2"), key("3")];
    let loads = join_all(keys.iter().map(|key| table.load(key, intent(false)))).await;
    assert!(loads[0].is_ok() && loads[1].is_ok());
    assert_eq!(loads[2].as_ref().unwrap_err().kind(), ErrorKind::Overloaded);
}
