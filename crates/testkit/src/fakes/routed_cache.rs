// SPDX-License-Identifier: MIT OR Apache-2.0
//! A cache on several servers, called as the engine calls it.

use std::sync::Arc;

use throughline_core::{
    BoxFuture, Cache, Entry, Fill, Hit, Lease, Lookup, Mark, Nodes, Result, Scope, Slot, Touch,
};

/// Sends every call to the server that keeps its key, so that whoever calls it need not know of servers.
#[derive(Debug)]
pub struct RoutedCache<C> {
    inner: Arc<C>,
}

impl<C: Cache + Nodes> RoutedCache<C> {
    /// Routes the calls to `inner`.
    pub fn new(inner: Arc<C>) -> Self {
        Self { inner }
    }

    fn routed(&self, slot: &Slot) -> Slot {
        let mut slot = slot.clone();
        slot.route.node = self.inner.node_of(&slot.resource, &slot.key);
        slot
    }

    fn all_routed(&self, slots: &[Slot]) -> Vec<Slot> {
        slots.iter().map(|slot| self.routed(slot)).collect()
    }
}

impl<C: Cache + Nodes> Cache for RoutedCache<C> {
    fn scope(&self) -> Scope {
        self.inner.scope()
    }

    fn get<'a>(&'a self, slot: &'a Slot) -> BoxFuture<'a, Result<Lookup>> {
        Box::pin(async move { Ok(asked(self.inner.get(&self.routed(slot)).await?, slot)) })
    }

    fn get_many<'a>(&'a self, slots: &'a [Slot]) -> BoxFuture<'a, Vec<Result<Lookup>>> {
        Box::pin(async move {
            let looks = self.inner.get_many(&self.all_routed(slots)).await;
            looks.into_iter().zip(slots).map(|(look, slot)| Ok(asked(look?, slot))).collect()
        })
    }

    fn peek<'a>(&'a self, slot: &'a Slot) -> BoxFuture<'a, Result<Option<Hit>>> {
        Box::pin(async move { self.inner.peek(&self.routed(slot)).await })
    }

    fn fill(&self, lease: Lease, entry: Entry, ttl_ms: u64) -> BoxFuture<'static, Result<Fill>> {
        let slot = self.routed(&lease.slot);
        self.inner.fill(Lease { slot, ..lease }, entry, ttl_ms)
    }

    fn release(&self, lease: Lease) {
        let slot = self.routed(&lease.slot);
        self.inner.release(Lease { slot, ..lease });
    }

    fn mark<'a>(&'a self, slots: &'a [Slot]) -> BoxFuture<'a, Vec<Result<Mark>>> {
        Box::pin(async move {
            let marks = self.inner.mark(&self.all_routed(slots)).await;
            marks
                .into_iter()
                .zip(slots)
                .map(|(mark, slot)| Ok(Mark { slot: slot.clone(), ..mark? }))
                .collect()
        })
    }

    fn publish(&self, mark: Mark, entry: Entry, ttl_ms: u64) -> BoxFuture<'static, Result<Fill>> {
        let slot = self.routed(&mark.slot);
        self.inner.publish(Mark { slot, ..mark }, entry, ttl_ms)
    }

    fn unmark(&self, mark: Mark) {
        let slot = self.routed(&mark.slot);
        self.inner.unmark(Mark { slot, ..mark });
    }

    fn invalidate<'a>(&'a self, slots: &'a [Slot]) -> BoxFuture<'a, Vec<Result<()>>> {
        Box::pin(async move { self.inner.invalidate(&self.all_routed(slots)).await })
    }

    fn touch<'a>(&'a self, slot: &'a Slot, ttl_ms: u64) -> BoxFuture<'a, Result<Touch>> {
        Box::pin(async move { self.inner.touch(&self.routed(slot), ttl_ms).await })
    }
}

/// The same answer for the slot that was asked for.
fn asked(look: Lookup, slot: &Slot) -> Lookup {
    match look {
        Lookup::Leased(lease) => Lookup::Leased(Lease { slot: slot.clone(), ..lease }),
        other => other,
    }
}
