// SPDX-License-Identifier: MIT OR Apache-2.0
//! Look-ups: joined, cancelled, probed.

use std::time::Duration;

use futures_util::future::join_all;
use throughline_core::{Canonical, Condition, Effect, ErrorKind, Key, Loader, Rng, Target, Write};

use crate::fixture::{Database, apply, delete, fill, intent, key, prepare, put, stored, value};

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

/// The probe of a fill, and what it says once the writer is done, while another daemon has prepared `write`.
async fn beside(name: &'static str, write: Write) -> [(Option<bytes::Bytes>, bool); 2] {
    let (database, table) = Database::with_rows(name, 5).await;
    let other = database.another_daemon().await;
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
    let stranger = database.stranger().await;
    // One number of 64 bits, and two of 32, over the whole range that a key's number could have.
    stranger
        .batch_execute("select pg_advisory_lock(17228::bigint << 32 | n) from generate_series(0, 99) n")
        .await
        .unwrap();
    stranger.batch_execute("select pg_advisory_lock(1, 1)").await.unwrap();
    assert!(fill(&table, "1").await.fillable);
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
    // The extension lives where the account's search path does not look.
    let schema = "create schema elsewhere; create extension citext schema elsewhere;
        create collation loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
        create table a (k elsewhere.citext primary key, n int);
        create table b (k text collate loose primary key, n int);
        create table c (k char(10) collate loose primary key, n int);
        insert into a values ('Anna', 1), ('bob', 2); insert into b table a; insert into c table a";
    let database = Database::new("reads_collation", schema).await;
    for name in ["a", "b", "c"] {
        let table = database.table(name).await;
        let seen = async |names: &[&str]| {
            let keys: Vec<Key> = names.iter().map(|name| key(name)).collect();
            let loaded = table.load_many(&keys, intent(true)).await.unwrap();
            loaded.iter().map(|loaded| (loaded.record.is_some(), loaded.fillable)).collect::<Vec<_>>()
        };
        assert_eq!(seen(&["Anna"]).await, [(true, true)], "{name}");
        assert_eq!(seen(&["ANNA"]).await, [(true, false)], "{name}");
        assert_eq!(seen(&["carl"]).await, [(false, false)], "{name}");
        assert_eq!(
            seen(&["anna", "bob", "BOB", "carl"]).await,
            [(true, false), (true, true), (true, false), (false, false)],
            "{name}"
        );
        let prepared = prepare(&table, put("ANNA", "{\"n\":3}")).await.unwrap();
        assert_eq!(stored(&prepared.effects()[0]).0, "Anna", "{name}");
        assert_eq!(seen(&["Anna"]).await, [(true, false)], "{name}: the stored key is locked");
        prepared.commit().await.unwrap();
        let effect = apply(&table, delete("BOB", Condition::Always)).await.unwrap();
        assert_eq!(effect, Effect::Deleted { key: key("bob") }, "{name}");
    }
}

#[tokio::test]
async fn a_composite_key_of_bytes_and_numbers_finds_its_row() {
    let schema = "create table c (b bytea, n bigint, v text, primary key (b, n));
        insert into c values ('\\x00ff3a', 9223372036854775807, 'x'), ('a', 1, 'y')";
    let database = Database::new("reads_composite", schema).await;
    let table = database.table("c").await;
    let keys = [key("%00%FF%3A:9223372036854775807"), key("a:1"), key("a:2")];
    let loaded = table.load_many(&keys, intent(true)).await.unwrap();
    let seen: Vec<_> = loaded.iter().map(|loaded| (loaded.record.is_some(), loaded.fillable)).collect();
    assert_eq!(seen, [(true, true), (true, true), (false, true)]);
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

#[tokio::test]
async fn a_long_decimal_key_means_one_row() {
    let schema = "create table n (k numeric(30,2) primary key, v int);
        insert into n values (1234567890123456789012345678.25, 1), (1234567890123456789012345678.50, 2)";
    let database = Database::new("reads_decimal", schema).await;
    let table = database.table("n").await;
    let found = value(&table, "1234567890123456789012345678.5").await.unwrap();
    assert_eq!(found, "{\"k\":1234567890123456789012345678.50,\"v\":2}");
    assert!(!fill(&table, "1234567890123456789012345678.5").await.fillable);
    assert!(fill(&table, "1234567890123456789012345678.50").await.fillable);
    apply(&table, put("1234567890123456789012345678.25", "{\"v\":9}")).await.unwrap();
    assert_eq!(database.sql("select string_agg(v::text, ',' order by k) from n"), "9,2");
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
