// SPDX-License-Identifier: MIT OR Apache-2.0
//! L1 over a real memcached: what it saves, and what it never returns.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use throughline_caches::{MemcachedCache, TieredCache};
use throughline_core::{Cache, Clock, Fill, LocalCache, Lookup, NodeId, SlotRef};
use throughline_testkit::{ManualClock, TokioClock};

use crate::house::{cache_on, counted, entry, eventually, hit, house, patient, put, read, slot};

const CAPACITY: u64 = 16 << 20;
const LARGE: usize = 100_000;

fn validated(cache: &Arc<MemcachedCache>) -> TieredCache {
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::start());
    TieredCache::validated(cache.clone(), CAPACITY, clock)
}

fn for_ttl(cache: &Arc<MemcachedCache>, ttl_ms: u64, clock: &Arc<ManualClock>) -> TieredCache {
    TieredCache::for_ttl(cache.clone(), ttl_ms, CAPACITY, clock.clone())
}

async fn value(cache: &dyn Cache, key: &str) -> Option<Vec<u8>> {
    match cache.get(&slot(key)).await.expect("a healthy server") {
        Lookup::Hit(hit) => Some(hit.record()?.value.to_vec()),
        _ => None,
    }
}

async fn write(cache: &dyn Cache, key: &str, value: &str) {
    let mark = cache.mark(&[slot(key)]).await.remove(0).expect("a healthy server");
    assert_eq!(cache.publish(mark, entry(value), 60_000).await.expect("an answer"), Fill::Stored);
}

#[tokio::test]
async fn a_validated_hit_costs_one_command_and_no_payload() {
    let (server, cache) = house(&[]).await;
    let cache = Arc::new(cache);
    put(&cache, &slot("a"), &"v".repeat(LARGE)).await;
    let tiered = validated(&cache);
    assert_eq!(value(&tiered, "a").await.map(|value| value.len()), Some(LARGE));

    // The server counts what it has sent after it has sent it.
    eventually("the payload is counted", async || {
        (counted(server.address(), "bytes_written") > LARGE as u64).then_some(())
    })
    .await;
    let stats = cache.stats(NodeId(0));
    let before =
        (read(&stats.commands), read(&stats.round_trips), counted(server.address(), "bytes_written"));
    for _ in 0..10 {
        assert_eq!(value(&tiered, "a").await.map(|value| value.len()), Some(LARGE));
    }
    assert_eq!((read(&stats.commands) - before.0, read(&stats.round_trips) - before.1), (10, 10));
    assert_eq!(read(&tiered.stats().validated), 10);
    let sent = counted(server.address(), "bytes_written") - before.2;
    // The server's own counters, which this test asks for, are about 3 kB each time.
    assert!(sent < 10_000, "{sent} bytes for 10 hits of {LARGE}");
}

#[tokio::test]
async fn a_validated_hit_is_never_older_than_another_daemon_s_write() {
    let (server, cache) = house(&[]).await;
    let tiered = validated(&Arc::new(cache));
    let other = cache_on(patient(server.address()));
    other.probe().await.expect("the server runs");
    for round in 0..50 {
        let written = format!("value {round}");
        write(&other, "a", &written).await;
        assert_eq!(value(&tiered, "a").await.as_deref(), Some(written.as_bytes()));
        assert_eq!(value(&tiered, "a").await.as_deref(), Some(written.as_bytes()));
    }
    assert_eq!(read(&tiered.stats().validated), 50);
    let mark = other.mark(&[slot("a")]).await.remove(0).expect("a healthy server");
    assert!(matches!(tiered.get(&slot("a")).await, Ok(Lookup::Marked)));
    other.unmark(mark);
    let look = tiered.get(&slot("a")).await;
    assert!(matches!(look, Ok(Lookup::Leased(_))), "{look:?}");
}

#[tokio::test]
async fn a_copy_does_not_outlive_its_server() {
    let (server, cache) = house(&[]).await;
    let cache = Arc::new(cache);
    put(&cache, &slot("a"), "old").await;
    let tiered = validated(&cache);
    assert!(value(&tiered, "a").await.is_some());
    server.restart();
    let look = eventually("it is back", async || tiered.get(&slot("a")).await.ok()).await;
    assert!(matches!(look, Lookup::Leased(_)), "{look:?}");
}

#[tokio::test]
async fn many_validations_share_their_round_trips() {
    let (_server, cache) = house(&[]).await;
    let cache = Arc::new(cache);
    let tiered = validated(&cache);
    let slots: Vec<_> = (0..200).map(|number| slot(&number.to_string())).collect();
    for slot in &slots {
        put(&cache, slot, slot.key.as_str()).await;
    }
    assert!(tiered.get_many(&slots).await.iter().all(|look| matches!(look, Ok(Lookup::Hit(_)))));
    // Some have changed, one is gone.
    write(&*cache, "7", "other").await;
    cache.invalidate(&[slot("8")]).await.remove(0).expect("a healthy server");
    let stats = cache.stats(NodeId(0));
    let before = (read(&stats.commands), read(&stats.round_trips));
    let looks = tiered.get_many(&slots).await;
    for (at, look) in looks.into_iter().enumerate() {
        match (at, look.expect("a healthy server")) {
            (8, Lookup::Leased(lease)) => cache.release(lease),
            (7, Lookup::Hit(hit)) => assert_eq!(hit.into_entry(), entry("other")),
            (_, Lookup::Hit(hit)) => assert_eq!(hit.into_entry(), entry(at.to_string())),
            other => panic!("{other:?}"),
        }
    }
    let cost = (read(&stats.commands) - before.0, read(&stats.round_trips) - before.1);
    assert_eq!(cost.0, 203, "200 headers, 2 asked for whole, 1 release");
    assert!(cost.1 <= 5, "{} round trips over 2 connections", cost.1);
}

#[tokio::test]
async fn a_young_copy_costs_nothing_and_its_age_goes_on() {
    let (_server, cache) = house(&[]).await;
    let (cache, clock) = (Arc::new(cache), Arc::new(ManualClock::default()));
    put(&cache, &slot("a"), "v").await;
    let tiered = for_ttl(&cache, 1_000, &clock);
    let first = match tiered.get(&slot("a")).await {
        Ok(Lookup::Hit(hit)) => hit,
        other => panic!("{other:?}"),
    };
    let stats = cache.stats(NodeId(0));
    let before = read(&stats.commands);
    clock.advance_ms(999);
    let Ok(Lookup::Hit(hit)) = tiered.get(&slot("a")).await else { panic!("no hit") };
    assert_eq!(hit.age_ms(), first.age_ms() + 999);
    assert_eq!(hit.ttl_left_ms(), first.ttl_left_ms() - 999);
    let item = slot("a");
    let local = SlotRef { resource: &item.resource, generation: item.route.generation, key: "a" };
    assert!(tiered.try_get(local).is_some());
    assert_eq!(read(&stats.commands) - before, 0);
    assert_eq!(tiered.stats().hits.load(Ordering::Relaxed), 2);

    clock.advance_ms(1);
    assert!(tiered.try_get(local).is_none());
    assert!(value(&tiered, "a").await.is_some());
    assert_eq!(read(&stats.commands) - before, 1);
}

#[tokio::test]
async fn another_daemon_s_write_is_seen_when_the_copy_is_as_old_as_it_may_be() {
    let (server, cache) = house(&[]).await;
    let (cache, clock) = (Arc::new(cache), Arc::new(ManualClock::default()));
    let tiered = for_ttl(&cache, 1_000, &clock);
    let other = cache_on(patient(server.address()));
    other.probe().await.expect("the server runs");
    write(&other, "a", "old").await;
    assert_eq!(value(&tiered, "a").await.as_deref(), Some(&b"old"[..]));
    write(&other, "a", "new").await;
    clock.advance_ms(999);
    assert_eq!(value(&tiered, "a").await.as_deref(), Some(&b"old"[..]));
    clock.advance_ms(1);
    assert_eq!(value(&tiered, "a").await.as_deref(), Some(&b"new"[..]));
    // Its own writes it sees at once.
    write(&tiered, "a", "own").await;
    assert_eq!(value(&tiered, "a").await.as_deref(), Some(&b"own"[..]));
    assert_eq!(hit(&cache, &slot("a")).await.into_entry(), entry("own"));
}
