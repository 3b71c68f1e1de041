// SPDX-License-Identifier: MIT OR Apache-2.0
//! L1 over L2: copies in this process of what a shared cache keeps.
//!
//! | mode | a hit | promise |
//! |---|---|---|
//! | [`TieredCache::validated`] | L2 is asked whether the copy is still the same; its bytes are not sent | that of L2 |
//! | [`TieredCache::for_ttl`] | L2 is not asked while the copy is younger than τ | that of L2, and τ later |
//!
//! Nobody can place a mark in another process's memory, so copies that nobody validates are never strict. What this
//! process itself writes is gone from L1 before the write is confirmed.
//!
//! Everything but reads goes to L2: leases, fills, marks and publishes are its own.

mod l1;

use std::fmt;
use std::sync::Arc;

use throughline_core::{
    BoxFuture, Cache, Checked, Clock, Entry, Fill, Hit, Lease, LocalCache, Lookup, Mark, Result, Scope, Slot,
    SlotRef, TaggedCache, Tick, Token, Touch, Wanted,
};

use l1::{Copied, L1, Ticket};

pub use l1::L1Stats;

/// A shared cache with copies in this process.
pub struct TieredCache {
    l1: L1,
    l2: L2,
    clock: Arc<dyn Clock>,
}

enum L2 {
    Validated(Arc<dyn TaggedCache>),
    ForTtl { cache: Arc<dyn Cache>, ttl_ms: u64 },
}

impl fmt::Debug for TieredCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TieredCache").field("l2", self.below()).finish_non_exhaustive()
    }
}

/// Empties L1's part of some slots, and once more when the call to L2 is over or was given up: what was read from
/// L2 meanwhile may be old.
struct Emptied<'a> {
    l1: &'a L1,
    slots: &'a [Slot],
}

impl<'a> Emptied<'a> {
    fn new(l1: &'a L1, slots: &'a [Slot]) -> Self {
        l1.empty(slots);
        Self { l1, slots }
    }
}

impl Drop for Emptied<'_> {
    fn drop(&mut self) {
        self.l1.empty(self.slots);
    }
}

impl TieredCache {
    /// Copies of at most `capacity_bytes`, each checked with `l2` whenever it is read.
    pub fn validated(l2: Arc<dyn TaggedCache>, capacity_bytes: u64, clock: Arc<dyn Clock>) -> Self {
        Self { l1: L1::new(capacity_bytes), l2: L2::Validated(l2), clock }
    }

    /// Copies of at most `capacity_bytes`, each used for `ttl_ms` from the moment at which `l2` was asked.
    pub fn for_ttl(l2: Arc<dyn Cache>, ttl_ms: u64, capacity_bytes: u64, clock: Arc<dyn Clock>) -> Self {
        Self { l1: L1::new(capacity_bytes), l2: L2::ForTtl { cache: l2, ttl_ms }, clock }
    }

    /// The counters of L1.
    pub fn stats(&self) -> &L1Stats {
        self.l1.stats()
    }

    /// How many copies there are.
    pub fn copies(&self) -> usize {
        self.l1.len()
    }

    fn below(&self) -> &dyn Cache {
        match &self.l2 {
            L2::Validated(cache) => &**cache,
            L2::ForTtl { cache, .. } => &**cache,
        }
    }

    async fn look(&self, slots: &[Slot]) -> Vec<Result<Lookup>> {
        match &self.l2 {
            L2::Validated(cache) => self.look_validated(cache, slots).await,
            L2::ForTtl { cache, ttl_ms } => self.look_for_ttl(cache, *ttl_ms, slots).await,
        }
    }

    async fn look_validated(&self, l2: &Arc<dyn TaggedCache>, slots: &[Slot]) -> Vec<Result<Lookup>> {
        let copies: Vec<Option<Copied>> = slots.iter().map(|slot| self.l1.get(slot)).collect();
        // Before L2 is asked: what it answers may be old by the time that it is here.
        let tickets: Vec<Ticket> = slots.iter().map(|slot| self.l1.ticket(slot)).collect();
        let wanted = slots
            .iter()
            .zip(&copies)
            .map(|(slot, copy)| Wanted { slot: slot.clone(), tag: copy.as_ref().and_then(|copy| copy.tag) });
        let wanted: Vec<Wanted> = wanted.collect();
        let asked = self.clock.now();
        let answers = l2.get_tagged(&wanted).await;
        let mut looks = Vec::with_capacity(slots.len());
        for (((answer, slot), copy), ticket) in answers.into_iter().zip(slots).zip(copies).zip(tickets) {
            looks.push(answer.map(|checked| match (checked, copy) {
                (Checked::Same { ttl_left_ms }, Some(copy)) => {
                    L1Stats::count(&self.l1.stats().validated);
                    Lookup::Hit(copy.with_left(ttl_left_ms))
                }
                // It can only be the same as something.
                (Checked::Same { .. }, None) => Lookup::Refused,
                (Checked::Looked { lookup, tag }, _) => {
                    self.keep(slot, ticket, &lookup, tag, asked);
                    lookup
                }
            }));
        }
        looks
    }

    async fn look_for_ttl(&self, l2: &Arc<dyn Cache>, ttl_ms: u64, slots: &[Slot]) -> Vec<Result<Lookup>> {
        let now = self.clock.now();
        let copied = |slot: &Slot| self.l1.get(slot)?.within(ttl_ms, now);
        let mut looks: Vec<Option<Result<Lookup>>> =
            slots.iter().map(|slot| copied(slot).map(|hit| Ok(Lookup::Hit(hit)))).collect();
        let missing: Vec<usize> = (0..slots.len()).filter(|at| looks[*at].is_none()).collect();
        L1Stats::add(&self.l1.stats().hits, (slots.len() - missing.len()) as u64);
        if !missing.is_empty() {
            let asked: Vec<Slot> = missing.iter().map(|at| slots[*at].clone()).collect();
            let tickets: Vec<Ticket> = asked.iter().map(|slot| self.l1.ticket(slot)).collect();
            let answers = l2.get_many(&asked).await;
            for (((at, slot), ticket), answer) in missing.into_iter().zip(&asked).zip(tickets).zip(answers) {
                if let Ok(lookup) = &answer {
                    self.keep(slot, ticket, lookup, None, now);
                }
                looks[at] = Some(answer);
            }
        }
        looks.into_iter().map(|look| look.unwrap_or(Ok(Lookup::Refused))).collect()
    }

    /// Copies a hit, unless something touched the slot since the ticket.
    fn keep(&self, slot: &Slot, ticket: Ticket, lookup: &Lookup, tag: Option<Token>, asked: Tick) {
        if let Lookup::Hit(hit) = lookup {
            self.l1.insert(slot, ticket, Copied::of(hit, tag, asked));
        }
    }
}

impl LocalCache for TieredCache {
    /// A copy that need not be checked.
    fn try_get(&self, slot: SlotRef<'_>) -> Option<Hit> {
        let L2::ForTtl { ttl_ms, .. } = &self.l2 else { return None };
        let hit = self.l1.get_ref(&slot)?.within(*ttl_ms, self.clock.now())?;
        L1Stats::count(&self.l1.stats().hits);
        Some(hit)
    }
}

impl Cache for TieredCache {
    fn scope(&self) -> Scope {
        self.below().scope()
    }

    fn get<'a>(&'a self, slot: &'a Slot) -> BoxFuture<'a, Result<Lookup>> {
        Box::pin(async move {
            let mut looks = self.look(std::slice::from_ref(slot)).await;
            looks.pop().expect("one answer for one slot")
        })
    }

    fn get_many<'a>(&'a self, slots: &'a [Slot]) -> BoxFuture<'a, Vec<Result<Lookup>>> {
        Box::pin(self.look(slots))
    }

    fn peek<'a>(&'a self, slot: &'a Slot) -> BoxFuture<'a, Result<Option<Hit>>> {
        self.below().peek(slot)
    }

    fn fill(&self, lease: Lease, entry: Entry, ttl_ms: u64) -> BoxFuture<'static, Result<Fill>> {
        self.below().fill(lease, entry, ttl_ms)
    }

    fn release(&self, lease: Lease) {
        self.below().release(lease);
    }

    fn mark<'a>(&'a self, slots: &'a [Slot]) -> BoxFuture<'a, Vec<Result<Mark>>> {
        Box::pin(async move {
            let _emptied = Emptied::new(&self.l1, slots);
            self.below().mark(slots).await
        })
    }

    fn publish(&self, mark: Mark, entry: Entry, ttl_ms: u64) -> BoxFuture<'static, Result<Fill>> {
        self.below().publish(mark, entry, ttl_ms)
    }

    fn unmark(&self, mark: Mark) {
        self.below().unmark(mark);
    }

    fn invalidate<'a>(&'a self, slots: &'a [Slot]) -> BoxFuture<'a, Vec<Result<()>>> {
        Box::pin(async move {
            let _emptied = Emptied::new(&self.l1, slots);
            self.below().invalidate(slots).await
        })
    }

    fn touch<'a>(&'a self, slot: &'a Slot, ttl_ms: u64) -> BoxFuture<'a, Result<Touch>> {
        Box::pin(async move {
            let _emptied = Emptied::new(&self.l1, std::slice::from_ref(slot));
            self.below().touch(slot, ttl_ms).await
        })
    }
}

#[cfg(test)]
mod tests;
