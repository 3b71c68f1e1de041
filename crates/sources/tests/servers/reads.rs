// SPDX-License-Identifier: MIT OR Apache-2.0
//! Look-ups: joined, cancelled, probed.

use std::time::Duration;

use futures_util::future::join_all;
use throughline_core::{Canonical, Condition, Effect, ErrorKind, Key, Loader, Rng};

use crate::fixture::{Database, apply, delete, fill, intent, key, prepare, put, stored, value};
use crate::server::{COMPOSITE_KEY, LOOSE_KEYS, joined};

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
    let (schema, tables, bob) = LOOSE_KEYS;
    let database = Database::new("reads_collation", schema).await;
    for name in tables {
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
            seen(&["anna", "bob", bob, "carl"]).await,
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
    let (schema, largest) = COMPOSITE_KEY;
    let database = Database::new("reads_composite", schema).await;
    let table = database.table("c").await;
    let keys = [key(largest), key("a:1"), key("a:2")];
    let loaded = table.load_many(&keys, intent(true)).await.unwrap();
    let seen: Vec<_> = loaded.iter().map(|loaded| (loaded.record.is_some(), loaded.fillable)).collect();
    assert_eq!(seen, [(true, true), (true, true), (false, true)]);
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
    assert_eq!(database.sql(&format!("select {} from n", joined("v", "k"))), "9,2");
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
