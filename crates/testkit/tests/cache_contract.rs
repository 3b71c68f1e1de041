// SPDX-License-Identifier: MIT OR Apache-2.0
//! The cache contract convicts caches that break it.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parking_lot::Mutex;
use throughline_core::{
    BoxFuture, Cache, Entry, Fill, Hit, Lease, Lookup, Mark, Result, Scope, Slot, Token, Touch,
};
use throughline_testkit::ManualClock;
use throughline_testkit::contract::cache::{CacheSubject, PROMISES, Passage};

/// What most people write: it leases and marks, but stores whatever it is given.
#[derive(Debug, Default)]
struct BlindCache {
    slots: Mutex<HashMap<Slot, Held>>,
}

#[derive(Clone, Debug)]
enum Held {
    Leased,
    Marked,
    Value(Entry),
}

const TOKEN: Token = Token { connection: 0, number: 1 };

impl BlindCache {
    fn look(&self, slot: &Slot) -> Lookup {
        match self.slots.lock().entry(slot.clone()).or_insert(Held::Leased) {
            Held::Leased => Lookup::Leased(Lease { slot: slot.clone(), token: TOKEN }),
            Held::Marked => Lookup::Marked,
            Held::Value(entry) => Lookup::Hit(Hit::new(entry.clone(), 0, 60_000)),
        }
    }

    fn put(&self, slot: Slot, held: Held) {
        self.slots.lock().insert(slot, held);
    }
}

impl Cache for BlindCache {
    fn scope(&self) -> Scope {
        Scope::Process
    }

    fn get<'a>(&'a self, slot: &'a Slot) -> BoxFuture<'a, Result<Lookup>> {
        Box::pin(async move { Ok(self.look(slot)) })
    }

    fn get_many<'a>(&'a self, slots: &'a [Slot]) -> BoxFuture<'a, Vec<Result<Lookup>>> {
        Box::pin(async move { slots.iter().map(|slot| Ok(self.look(slot))).collect() })
    }

    fn peek<'a>(&'a self, slot: &'a Slot) -> BoxFuture<'a, Result<Option<Hit>>> {
        let hit = match self.slots.lock().get(slot) {
            Some(Held::Value(entry)) => Some(Hit::new(entry.clone(), 0, 60_000)),
            _ => None,
        };
        Box::pin(async move { Ok(hit) })
    }

    fn fill(&self, lease: Lease, entry: Entry, _ttl_ms: u64) -> BoxFuture<'static, Result<Fill>> {
        self.put(lease.slot, Held::Value(entry));
        Box::pin(async { Ok(Fill::Stored) })
    }

    fn release(&self, lease: Lease) {
        self.slots.lock().remove(&lease.slot);
    }

    fn mark<'a>(&'a self, slots: &'a [Slot]) -> BoxFuture<'a, Vec<Result<Mark>>> {
        Box::pin(async move {
            let mark = |slot: &Slot| {
                self.put(slot.clone(), Held::Marked);
                Ok(Mark { slot: slot.clone(), token: Some(TOKEN) })
            };
            slots.iter().map(mark).collect()
        })
    }

    fn publish(&self, mark: Mark, entry: Entry, _ttl_ms: u64) -> BoxFuture<'static, Result<Fill>> {
        self.put(mark.slot, Held::Value(entry));
        Box::pin(async { Ok(Fill::Stored) })
    }

    fn unmark(&self, mark: Mark) {
        self.slots.lock().remove(&mark.slot);
    }

    fn invalidate<'a>(&'a self, slots: &'a [Slot]) -> BoxFuture<'a, Vec<Result<()>>> {
        Box::pin(async move {
            slots
                .iter()
                .map(|slot| {
                    self.slots.lock().remove(slot);
                    Ok(())
                })
                .collect()
        })
    }

    fn touch<'a>(&'a self, _slot: &'a Slot, _ttl_ms: u64) -> BoxFuture<'a, Result<Touch>> {
        Box::pin(async { Ok(Touch::Absent) })
    }
}

fn subject() -> CacheSubject {
    CacheSubject {
        cache: Arc::new(BlindCache::default()),
        passage: Passage::Manual(Arc::new(ManualClock::default())),
        lease_ms: 5_000,
        mark_ms: 10_000,
        large_len: 1_024,
        too_large_len: 2_048,
        keep: Box::new(()),
    }
}

/// The promises that the blind cache breaks, in the order of the suite.
fn broken() -> Vec<&'static str> {
    let is_broken = |promise: fn(CacheSubject) -> _| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a thread may have a runtime");
        catch_unwind(AssertUnwindSafe(|| runtime.block_on(promise(subject())))).is_err()
    };
    PROMISES.iter().filter(|(_, promise)| is_broken(*promise)).map(|(name, _)| *name).collect()
}

#[test]
fn a_cache_that_stores_blindly_is_convicted_of_exactly_what_it_does() {
    let expected = [
        "an_empty_slot_is_leased_to_one_caller_at_a_time",
        "of_many_callers_one_gets_the_lease",
        "a_lease_fills_once",
        "a_fill_after_invalidate_is_refused",
        "a_fill_after_a_mark_is_refused",
        "a_fill_after_release_is_refused",
        "an_older_lease_does_not_fill_under_a_newer_one",
        "a_lease_of_elsewhere_is_refused",
        "releasing_an_old_lease_leaves_the_newer_one",
        "a_mark_without_an_entry_voids_the_lease",
        "a_mark_publishes_once",
        "a_publish_under_a_superseded_mark_is_refused",
        "a_publish_after_invalidate_is_refused",
        "an_unmarked_slot_is_empty",
        "a_superseded_mark_does_not_unmark",
        "releasing_an_old_lease_leaves_the_mark",
        "a_lease_expires",
        "a_mark_expires",
        "an_entry_expires",
        "a_hit_tells_age_and_time_left",
        "touch_gives_an_entry_another_life",
        "touch_never_touches_a_lease_or_a_mark",
        "what_is_too_large_leaves_the_slot_empty",
        "random_calls_agree_with_a_model",
    ];
    assert_eq!(broken(), expected);
}
