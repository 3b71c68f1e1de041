// SPDX-License-Identifier: MIT OR Apache-2.0
//! The cache in process memory, beyond what every cache promises.

#![allow(clippy::disallowed_methods, reason = "threads that race belong to the test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use bytes::Bytes;
use throughline_caches::{MemoryCache, MemoryConfig};
use throughline_core::{
    Cache, Entry, Fill, Fingerprint, Generation, Hit, Key, Lease, LocalCache, Lookup, Mark, Record,
    ResourceName, Route, Slot, SlotRef,
};
use throughline_testkit::ManualClock;

const TTL_MS: u64 = 60_000;

fn cache(config: &MemoryConfig) -> (MemoryCache, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    (MemoryCache::new(config, clock.clone()), clock)
}

fn slot(key: &str) -> Slot {
    let resource = ResourceName::new("item").expect("a valid name");
    Slot { resource, route: Route::default(), key: Key::parse(key).expect("a short key") }
}

/// Looks up without waiting, under a text that need not be canonical.
fn look(cache: &MemoryCache, key: &str) -> Option<Hit> {
    let resource = &slot("any").resource;
    cache.try_get(SlotRef { resource, generation: Generation::default(), key })
}

fn entry(value: impl Into<Bytes>) -> Entry {
    Entry { record: Some(Record::from_content(value)), fingerprint: Fingerprint::of(b"memory") }
}

/// The futures of this cache never wait.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(done) => done,
        std::task::Poll::Pending => panic!("a cache in process memory never waits"),
    }
}

fn lease(cache: &MemoryCache, slot: &Slot) -> Lease {
    match now(cache.get(slot)).expect("memory does not fail") {
        Lookup::Leased(lease) => lease,
        other => panic!("expected a lease, got {other:?}"),
    }
}

fn put(cache: &MemoryCache, slot: &Slot, entry: Entry) -> Fill {
    now(cache.fill(lease(cache, slot), entry, TTL_MS)).expect("memory does not fail")
}

fn mark(cache: &MemoryCache, slot: &Slot) -> Mark {
    now(cache.mark(std::slice::from_ref(slot))).remove(0).expect("memory does not fail")
}

#[test]
fn the_look_up_without_waiting_finds_entries_and_nothing_else() {
    let (cache, clock) = cache(&MemoryConfig::default());
    assert_eq!(look(&cache, "a"), None);
    put(&cache, &slot("a"), entry("v"));
    let Some(hit) = look(&cache, "a") else { panic!("no hit") };
    assert_eq!(hit, Hit::new(entry("v"), 0, TTL_MS));

    let _lease = lease(&cache, &slot("leased"));
    assert_eq!(look(&cache, "leased"), None);
    let _mark = mark(&cache, &slot("a"));
    assert_eq!(look(&cache, "a"), None);

    put(&cache, &slot("b"), entry("v"));
    clock.advance_ms(TTL_MS);
    assert_eq!(look(&cache, "b"), None);
}

#[test]
fn a_key_that_is_not_canonical_is_simply_not_found() {
    let (cache, _) = cache(&MemoryConfig::default());
    put(&cache, &slot("a b"), entry("v"));
    assert!(look(&cache, "a%20b").is_some());
    assert_eq!(look(&cache, "a b"), None);
}

#[test]
fn an_expired_entry_gives_its_room_back_when_it_is_asked_for() {
    let (cache, clock) = cache(&MemoryConfig::default());
    put(&cache, &slot("a"), entry("v"));
    clock.advance_ms(TTL_MS);
    assert_eq!(cache.entries(), 1);
    assert_eq!(look(&cache, "a"), None);
    assert_eq!((cache.entries(), cache.weight_bytes()), (0, 0));
}

#[test]
fn the_capacity_is_kept() {
    let capacity_bytes = 1024 * 1024;
    let (cache, _) = cache(&MemoryConfig { capacity_bytes, ..MemoryConfig::default() });
    for n in 0..5_000 {
        assert_eq!(put(&cache, &slot(&n.to_string()), entry(vec![0; 1_000])), Fill::Stored);
    }
    assert!(cache.weight_bytes() <= capacity_bytes, "{} bytes", cache.weight_bytes());
    assert!((500..1_048).contains(&cache.entries()), "{} entries", cache.entries());
}

#[test]
fn negative_entries_weigh_something_too() {
    let capacity_bytes = 64 * 1024;
    let (cache, _) = cache(&MemoryConfig { capacity_bytes, ..MemoryConfig::default() });
    for n in 0..5_000 {
        put(&cache, &slot(&n.to_string()), Entry { record: None, fingerprint: Fingerprint::default() });
    }
    assert!((50..1_000).contains(&cache.entries()), "{} entries", cache.entries());
}

#[test]
fn without_room_for_a_lease_look_ups_are_refused_and_marks_still_void() {
    let (cache, clock) = cache(&MemoryConfig { notes_len_max: 64, ..MemoryConfig::default() });
    put(&cache, &slot("held"), entry("old"));
    let mut leased = 0;
    for n in 0..1_000 {
        match now(cache.get(&slot(&n.to_string()))).expect("memory does not fail") {
            Lookup::Leased(_) => leased += 1,
            other => assert!(matches!(other, Lookup::Refused), "got {other:?}"),
        }
    }
    assert_eq!(leased, 64);

    let mark = mark(&cache, &slot("held"));
    assert!(mark.token.is_none(), "there is no room for it");
    assert_eq!(look(&cache, "held"), None);
    assert_eq!(now(cache.publish(mark, entry("new"), TTL_MS)).expect("memory does not fail"), Fill::Refused);

    // Expired leases make room.
    clock.advance_ms(5_000);
    for n in 0..64 {
        drop(now(cache.get(&slot(&n.to_string()))).expect("memory does not fail"));
    }
    assert!(matches!(now(cache.get(&slot("0"))), Ok(Lookup::Busy)));
}

#[test]
fn one_caches_lease_is_worth_nothing_to_another() {
    let (first, _) = cache(&MemoryConfig::default());
    let (second, _) = cache(&MemoryConfig::default());
    let foreign = lease(&first, &slot("a"));
    let own = lease(&second, &slot("a"));
    assert_eq!(foreign.token.number, own.token.number);
    assert_eq!(
        now(second.fill(foreign, entry("foreign"), TTL_MS)).expect("memory does not fail"),
        Fill::Refused
    );
}

/// A writer raises a number: source first, inside a mark, then the publish. Readers fill what they loaded.
/// No reader may see less than what the last confirmed write had left when its look-up began.
#[test]
fn no_look_up_goes_behind_a_confirmed_mark_however_threads_race() {
    let (cache, _) = cache(&MemoryConfig::default());
    let (cache, slot) = (Arc::new(cache), slot("a"));
    let (source, confirmed, stop) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    let floor = confirmed.load(Ordering::SeqCst);
                    match now(cache.get(&slot)).expect("memory does not fail") {
                        Lookup::Hit(hit) => {
                            let value = hit.record().expect("a record").version.0;
                            assert!(value >= floor, "read {value} after {floor} was confirmed");
                        }
                        Lookup::Leased(lease) => {
                            drop(cache.fill(lease, number(source.load(Ordering::SeqCst)), TTL_MS))
                        }
                        _ => thread::yield_now(),
                    }
                }
            });
        }
        for value in 1..20_000 {
            source.store(value, Ordering::SeqCst);
            let mark = mark(&cache, &slot);
            confirmed.store(value, Ordering::SeqCst);
            match value % 3 {
                0 => drop(cache.publish(mark, number(value), TTL_MS)),
                1 => cache.unmark(mark),
                _ => {
                    let _ = now(cache.invalidate(std::slice::from_ref(&slot)));
                }
            }
        }
        stop.store(true, Ordering::SeqCst);
    });
}

fn number(value: u64) -> Entry {
    let record = Record { value: Bytes::new(), version: throughline_core::Version(value), flags: 0 };
    Entry { record: Some(record), fingerprint: Fingerprint::default() }
}
