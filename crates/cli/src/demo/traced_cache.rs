// SPDX-License-Identifier: MIT OR Apache-2.0
//! A cache that reports what it is asked.

use std::sync::Arc;

use throughline::{BoxFuture, Cache, Entry, Fill, Hit, Lease, Lookup, Mark, Result, Scope, Slot, Touch};

use super::trace::Trace;

/// Passes everything on, and says so.
#[derive(Debug)]
pub(super) struct TracedCache {
    inner: Arc<dyn Cache>,
    trace: Trace,
}

impl TracedCache {
    pub(super) fn new(inner: Arc<dyn Cache>, trace: Trace) -> Self {
        Self { inner, trace }
    }
}

impl Cache for TracedCache {
    fn scope(&self) -> Scope {
        self.inner.scope()
    }

    fn get<'a>(&'a self, slot: &'a Slot) -> BoxFuture<'a, Result<Lookup>> {
        Box::pin(async move {
            let found = self.inner.get(slot).await;
            let what = match &found {
                Ok(Lookup::Hit(_)) => "has it",
                Ok(Lookup::Leased(_)) => "has nothing and gives a lease",
                Ok(Lookup::Busy) => "has nothing; another holds the lease",
                Ok(Lookup::Marked) => "says that it is being written",
                Ok(Lookup::Refused) | Err(_) => "is of no use",
            };
            self.trace.event("cache", what);
            found
        })
    }

    fn get_many<'a>(&'a self, slots: &'a [Slot]) -> BoxFuture<'a, Vec<Result<Lookup>>> {
        self.trace.event("cache", &format!("is asked for {} entries", slots.len()));
        self.inner.get_many(slots)
    }

    fn peek<'a>(&'a self, slot: &'a Slot) -> BoxFuture<'a, Result<Option<Hit>>> {
        self.inner.peek(slot)
    }

    fn fill(&self, lease: Lease, entry: Entry, ttl_ms: u64) -> BoxFuture<'static, Result<Fill>> {
        self.trace.event("cache", &format!("is filled under the lease, for {} s", ttl_ms / 1_000));
        self.inner.fill(lease, entry, ttl_ms)
    }

    fn release(&self, lease: Lease) {
        self.trace.event("cache", "gets the lease back");
        self.inner.release(lease);
    }

    fn mark<'a>(&'a self, slots: &'a [Slot]) -> BoxFuture<'a, Vec<Result<Mark>>> {
        self.trace.event("cache", "is marked: the old value is gone");
        self.inner.mark(slots)
    }

    fn publish(&self, mark: Mark, entry: Entry, ttl_ms: u64) -> BoxFuture<'static, Result<Fill>> {
        self.trace.event("cache", "gets the written value in place of the mark");
        self.inner.publish(mark, entry, ttl_ms)
    }

    fn unmark(&self, mark: Mark) {
        self.trace.event("cache", "loses the mark");
        self.inner.unmark(mark);
    }

    fn invalidate<'a>(&'a self, slots: &'a [Slot]) -> BoxFuture<'a, Vec<Result<()>>> {
        self.trace.event("cache", "forgets the entry");
        self.inner.invalidate(slots)
    }

    fn touch<'a>(&'a self, slot: &'a Slot, ttl_ms: u64) -> BoxFuture<'a, Result<Touch>> {
        self.inner.touch(slot, ttl_ms)
    }
}
