// SPDX-License-Identifier: MIT OR Apache-2.0
//! The race of a read with a write, step by step, and two L1 that lose it.

use std::sync::Arc;

use throughline_core::{
    BoxFuture, Cache, Entry, Fill, Fingerprint, Hit, Key, Lease, Lookup, Mark, Record, ResourceName, Result,
    Route, Scope, Slot, Touch,
};
use throughline_testkit::ManualClock;
use tokio::sync::Semaphore;

use super::TieredCache;
use crate::{MemoryCache, MemoryConfig};

/// What an L1 may do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It keeps an answer under any ticket.
    AnyTicket,
    /// It draws a new ticket only when there was a copy to remove.
    OnlyWithCopy,
}

/// A cache whose answers to look-ups are held back once they are made.
#[derive(Debug)]
struct Held {
    inner: MemoryCache,
    made: Semaphore,
    let_go: Semaphore,
}

impl Cache for Held {
    fn scope(&self) -> Scope {
        Scope::Shared
    }

    fn get<'a>(&'a self, slot: &'a Slot) -> BoxFuture<'a, Result<Lookup>> {
        self.inner.get(slot)
    }

    fn get_many<'a>(&'a self, slots: &'a [Slot]) -> BoxFuture<'a, Vec<Result<Lookup>>> {
        Box::pin(async move {
            let answers = self.inner.get_many(slots).await;
            self.made.add_permits(1);
            self.let_go.acquire().await.expect("never closed").forget();
            answers
        })
    }

    fn peek<'a>(&'a self, slot: &'a Slot) -> BoxFuture<'a, Result<Option<Hit>>> {
        self.inner.peek(slot)
    }

    fn fill(&self, lease: Lease, entry: Entry, ttl_ms: u64) -> BoxFuture<'static, Result<Fill>> {
        self.inner.fill(lease, entry, ttl_ms)
    }

    fn release(&self, lease: Lease) {
        self.inner.release(lease);
    }

    fn mark<'a>(&'a self, slots: &'a [Slot]) -> BoxFuture<'a, Vec<Result<Mark>>> {
        self.inner.mark(slots)
    }

    fn publish(&self, mark: Mark, entry: Entry, ttl_ms: u64) -> BoxFuture<'static, Result<Fill>> {
        self.inner.publish(mark, entry, ttl_ms)
    }

    fn unmark(&self, mark: Mark) {
        self.inner.unmark(mark);
    }

    fn invalidate<'a>(&'a self, slots: &'a [Slot]) -> BoxFuture<'a, Vec<Result<()>>> {
        self.inner.invalidate(slots)
    }

    fn touch<'a>(&'a self, slot: &'a Slot, ttl_ms: u64) -> BoxFuture<'a, Result<Touch>> {
        self.inner.touch(slot, ttl_ms)
    }
}

fn slot() -> Slot {
    let resource = ResourceName::new("item").unwrap();
    Slot { resource, route: Route::default(), key: Key::parse("a").unwrap() }
}

fn entry(value: &'static str) -> Entry {
    Entry { record: Some(Record::from_content(value)), fingerprint: Fingerprint::of(b"tiered") }
}

async fn publish(cache: &dyn Cache, value: &'static str) {
    let mark = cache.mark(&[slot()]).await.remove(0).unwrap();
    assert_eq!(cache.publish(mark, entry(value), 60_000).await.unwrap(), Fill::Stored);
}

/// What is read after a write that was confirmed while a read was on the way.
async fn read_after_race(fault: Option<Fault>, evicted: bool) -> Entry {
    let clock = Arc::new(ManualClock::default());
    let config = MemoryConfig { capacity_bytes: 16 << 20, ..MemoryConfig::default() };
    let held = Arc::new(Held {
        inner: MemoryCache::new(&config, clock.clone()),
        made: Semaphore::new(0),
        let_go: Semaphore::new(0),
    });
    let item = slot();
    let mut tiered = TieredCache::for_ttl(held.clone(), 1_000, 16 << 20, clock);
    tiered.l1.fault = fault;
    publish(&tiered, "old").await;
    if !evicted {
        // A copy is there for the write to remove. It has expired for the reader, who asks L2 all the same.
        let old = tiered.below().peek(&slot()).await.unwrap().unwrap();
        let expired = super::Copied::of(&Hit::new(old.into_entry(), 0, 0), None, super::Tick::from_ms(0));
        tiered.l1.insert(&slot(), tiered.l1.ticket(&slot()), expired);
    }
    let (first, ()) = tokio::join!(
        // 1. A reader asks L2, which makes its answer.
        tiered.get(&item),
        async {
            held.made.acquire().await.unwrap().forget();
            // 2. A writer marks and publishes.
            publish(&tiered, "new").await;
            // 3. The answer arrives.
            held.let_go.add_permits(2);
        }
    );
    // The reader began before the write ended, so the old value is right for it.
    let Ok(Lookup::Hit(first)) = first else { panic!("no hit") };
    assert_eq!(first.into_entry(), entry("old"));
    // 4. Who reads now must see what was written.
    let Ok(Lookup::Hit(hit)) = tiered.get(&item).await else { panic!("no hit") };
    hit.into_entry()
}

#[tokio::test]
async fn an_answer_that_a_write_overtook_is_not_copied() {
    assert_eq!(read_after_race(None, false).await, entry("new"));
}

#[tokio::test]
async fn an_answer_that_a_write_overtook_is_not_copied_when_the_copy_had_been_evicted() {
    assert_eq!(read_after_race(None, true).await, entry("new"));
}

#[tokio::test]
async fn an_l1_that_takes_any_ticket_is_found_out() {
    assert_eq!(read_after_race(Some(Fault::AnyTicket), false).await, entry("old"));
}

#[tokio::test]
async fn an_l1_that_overlooks_evicted_copies_is_found_out() {
    assert_eq!(read_after_race(Some(Fault::OnlyWithCopy), false).await, entry("new"));
    assert_eq!(read_after_race(Some(Fault::OnlyWithCopy), true).await, entry("old"));
}
