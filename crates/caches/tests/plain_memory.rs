// SPDX-License-Identifier: MIT OR Apache-2.0
//! The plain space in process memory.

#![allow(clippy::disallowed_methods, reason = "threads that race belong to the test")]

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;

use bytes::Bytes;
use throughline_caches::{PlainMemory, PlainMemoryConfig};
use throughline_core::{PlainItem, PlainStore, PlainStored, PlainWhen};
use throughline_testkit::ManualClock;

struct House {
    space: PlainMemory,
    clock: Arc<ManualClock>,
}

/// The futures of this space never wait.
fn now<T>(future: impl Future<Output = throughline_core::Result<T>>) -> T {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done.expect("memory does not fail"),
        Poll::Pending => panic!("a space in process memory never waits"),
    }
}

impl House {
    fn with_capacity(capacity_bytes: u64) -> Self {
        let clock = Arc::new(ManualClock::default());
        Self { space: PlainMemory::new(&PlainMemoryConfig { capacity_bytes }, clock.clone()), clock }
    }

    fn new() -> Self {
        Self::with_capacity(16 * 1024 * 1024)
    }

    fn set(&self, value: &str, when: PlainWhen) -> PlainStored {
        now(self.space.set(b"k", Bytes::copy_from_slice(value.as_bytes()), 7, None, when))
    }

    fn get(&self) -> Option<PlainItem> {
        now(self.space.get(b"k"))
    }

    fn value(&self) -> Option<Bytes> {
        self.get().map(|item| item.value)
    }
}

fn cas(stored: PlainStored) -> u64 {
    match stored {
        PlainStored::Stored(cas) => cas,
        other => panic!("not stored: {other:?}"),
    }
}

#[test]
fn what_was_set_is_found_whole() {
    let house = House::new();
    let stored = cas(house.set("v", PlainWhen::Always));
    let item = PlainItem { value: "v".into(), flags: 7, cas: stored, ttl_left_ms: None };
    assert_eq!(house.get(), Some(item));
    assert_eq!(now(house.space.get(b"other")), None);
}

#[test]
fn every_store_has_a_cas_number_of_its_own() {
    let house = House::new();
    let first = cas(house.set("v", PlainWhen::Always));
    let second = cas(house.set("v", PlainWhen::Always));
    assert!(first != 0 && second != 0 && first != second);
}

#[test]
fn conditions_are_kept() {
    let house = House::new();
    assert_eq!(house.set("v", PlainWhen::Present), PlainStored::NotStored);
    assert_eq!(house.set("v", PlainWhen::Append), PlainStored::NotStored);
    assert_eq!(house.set("v", PlainWhen::Prepend), PlainStored::NotStored);
    assert_eq!(house.set("v", PlainWhen::Cas(1)), PlainStored::NotFound);
    let first = cas(house.set("1", PlainWhen::Absent));
    assert_eq!(house.set("2", PlainWhen::Absent), PlainStored::NotStored);
    let second = cas(house.set("2", PlainWhen::Cas(first)));
    assert_eq!(house.set("3", PlainWhen::Cas(first)), PlainStored::Exists);
    assert_eq!(house.get().map(|item| item.cas), Some(second));
    cas(house.set("4", PlainWhen::Present));
    assert_eq!(house.value(), Some("4".into()));
}

#[test]
fn append_and_prepend_keep_flags_and_life() {
    let house = House::new();
    now(house.space.set(b"k", "b".into(), 9, Some(1_000), PlainWhen::Always));
    house.clock.advance_ms(400);
    cas(house.set("c", PlainWhen::Append));
    let last = cas(house.set("a", PlainWhen::Prepend));
    let item = PlainItem { value: "abc".into(), flags: 9, cas: last, ttl_left_ms: Some(600) };
    assert_eq!(house.get(), Some(item));
}

#[test]
fn a_value_expires_and_counts_as_absent() {
    let house = House::new();
    now(house.space.set(b"k", "v".into(), 0, Some(1_000), PlainWhen::Always));
    house.clock.advance_ms(999);
    assert!(house.get().is_some());
    house.clock.advance_ms(1);
    assert_eq!(house.get(), None);
    assert_eq!(house.set("v", PlainWhen::Present), PlainStored::NotStored);
    now(house.space.set(b"k", "v".into(), 0, Some(0), PlainWhen::Always));
    assert_eq!(house.get(), None);
    assert!(!now(house.space.remove(b"k")), "it had expired");
}

#[test]
fn touch_changes_the_life_and_nothing_else() {
    let house = House::new();
    assert!(!now(house.space.touch(b"k", None)));
    let stored = cas(house.set("v", PlainWhen::Always));
    assert!(now(house.space.touch(b"k", Some(500))));
    let item = PlainItem { value: "v".into(), flags: 7, cas: stored, ttl_left_ms: Some(500) };
    assert_eq!(house.get(), Some(item));
    assert!(now(house.space.touch(b"k", None)));
    assert_eq!(house.get().and_then(|item| item.ttl_left_ms), None);
}

#[test]
fn removing_and_clearing_empty_the_space() {
    let house = House::new();
    house.set("v", PlainWhen::Always);
    assert!(now(house.space.remove(b"k")));
    assert!(!now(house.space.remove(b"k")));
    house.set("v", PlainWhen::Always);
    now(house.space.clear());
    assert_eq!((house.get(), house.space.items(), house.space.weight_bytes()), (None, 0, 0));
}

#[test]
fn what_is_too_large_leaves_the_old_value() {
    let house = House::with_capacity(64 * 1024);
    let large = "v".repeat(20_000);
    house.set("old", PlainWhen::Always);
    assert_eq!(house.set(&large, PlainWhen::Always), PlainStored::TooLarge);
    assert_eq!(house.set(&large, PlainWhen::Append), PlainStored::TooLarge);
    assert_eq!(house.value(), Some("old".into()));
}

#[test]
fn the_capacity_is_kept() {
    let house = House::with_capacity(256 * 1024);
    for n in 0..5_000_u32 {
        now(house.space.set(&n.to_be_bytes(), vec![0; 500].into(), 0, None, PlainWhen::Always));
    }
    assert!(house.space.weight_bytes() <= 256 * 1024);
    assert!((200..500).contains(&house.space.items()), "{} items", house.space.items());
}

#[test]
fn racing_appends_lose_nothing() {
    let house = House::new();
    house.set("", PlainWhen::Always);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    cas(house.set("x", PlainWhen::Append));
                }
            });
        }
    });
    assert_eq!(house.value().map(|value| value.len()), Some(2_000));
}

#[test]
fn of_racing_compare_and_sets_one_wins() {
    let house = House::new();
    for round in 0..200 {
        let seen = cas(house.set("0", PlainWhen::Always));
        let winners = thread::scope(|scope| {
            let race =
                || scope.spawn(|| matches!(house.set("1", PlainWhen::Cas(seen)), PlainStored::Stored(_)));
            let racers = [race(), race()];
            racers.into_iter().map(|racer| racer.join().expect("no panic")).filter(|won| *won).count()
        });
        assert_eq!(winners, 1, "round {round}");
    }
}
