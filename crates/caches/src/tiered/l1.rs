// SPDX-License-Identifier: MIT OR Apache-2.0
//! The copies, and the tickets that keep an old one out.
//!
//! A reader takes a ticket, asks L2, and may keep the answer only if the ticket is still the shard's. Whoever
//! empties a slot draws the next one, whether or not there was a copy: it may have been evicted, and then the
//! reader who is on the way with an old answer would otherwise not be noticed.

use std::hash::{BuildHasher as _, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::RandomState;
use parking_lot::Mutex;
use quick_cache::sync::{Cache as Values, DefaultLifecycle};
use quick_cache::{Equivalent, Weighter};
use throughline_core::{Generation, Hit, KeptEntry, Slot, SlotRef, Tick, Token};

/// Enough that a write of one key seldom keeps out a copy of another.
const SHARDS: usize = 1_024;
/// What a copy needs beside its bytes: key, entry, counts, tables.
const FIXED_BYTES: u64 = 256;

/// Counters of an L1, since it was made.
#[derive(Debug, Default)]
pub struct L1Stats {
    /// Look-ups that were answered without asking L2.
    pub hits: AtomicU64,
    /// Look-ups for which L2 said that the copy is still the same.
    pub validated: AtomicU64,
    /// Answers of L2 that were not copied, because something touched the slot meanwhile.
    pub refused: AtomicU64,
}

impl L1Stats {
    pub(super) fn count(counter: &AtomicU64) {
        Self::add(counter, 1);
    }

    pub(super) fn add(counter: &AtomicU64, number: u64) {
        counter.fetch_add(number, Ordering::Relaxed);
    }
}

/// A copy of an entry of L2.
///
/// Its life is counted from its fill, by the age that L2 gave and the time that went by since L2 was asked.
#[derive(Clone, Debug)]
pub(super) struct Copied {
    kept: Arc<KeptEntry>,
    pub(super) tag: Option<Token>,
    /// Before L2 was asked, so that no time on the way is lost.
    asked: Tick,
    age_ms: u64,
    ttl_left_ms: u64,
}

impl Copied {
    pub(super) fn of(hit: &Hit, tag: Option<Token>, asked: Tick) -> Self {
        let (age_ms, ttl_left_ms) = (hit.age_ms(), hit.ttl_left_ms());
        let deadline = Tick::from_ms(age_ms.saturating_add(ttl_left_ms));
        let kept = KeptEntry::new(hit.clone().into_entry(), Tick::from_ms(0), deadline);
        Self { kept: Arc::new(kept), tag, asked, age_ms, ttl_left_ms }
    }

    /// The copy as it is now, if L2 was asked less than `ttl_ms` ago and it has not expired.
    pub(super) fn within(&self, ttl_ms: u64, now: Tick) -> Option<Hit> {
        let since_ms = now.ms_since(self.asked);
        if since_ms >= ttl_ms.min(self.ttl_left_ms) {
            return None;
        }
        Some(Hit::of(self.kept.clone(), Tick::from_ms(self.age_ms.saturating_add(since_ms))))
    }

    /// The copy when L2 says how long it has left.
    pub(super) fn with_left(&self, ttl_left_ms: u64) -> Hit {
        let life_ms = self.age_ms.saturating_add(self.ttl_left_ms);
        Hit::of(self.kept.clone(), Tick::from_ms(life_ms.saturating_sub(ttl_left_ms)))
    }
}

/// Under which key a copy is kept. Which server of L2 keeps the entry follows from the key, so it is left out.
#[derive(Clone, Debug)]
struct CopyKey(Slot);

#[derive(Clone, Copy)]
struct CopyKeyRef<'a>(&'a SlotRef<'a>);

fn hash<H: Hasher>(resource: &str, generation: Generation, key: &str, state: &mut H) {
    resource.hash(state);
    generation.hash(state);
    key.hash(state);
}

impl Hash for CopyKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Slot { resource, route, key } = &self.0;
        hash(resource.as_str(), route.generation, key.as_str(), state);
    }
}

impl Hash for CopyKeyRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash(self.0.resource.as_str(), self.0.generation, self.0.key, state);
    }
}

impl PartialEq for CopyKey {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (&self.0, &other.0);
        a.key == b.key && a.route.generation == b.route.generation && a.resource == b.resource
    }
}

impl Eq for CopyKey {}

impl Equivalent<CopyKey> for CopyKeyRef<'_> {
    fn equivalent(&self, copy: &CopyKey) -> bool {
        let Slot { resource, route, key } = &copy.0;
        self.0.key == key.as_str() && self.0.generation == route.generation && *self.0.resource == *resource
    }
}

fn by_reference(slot: &Slot) -> SlotRef<'_> {
    SlotRef { resource: &slot.resource, generation: slot.route.generation, key: slot.key.as_str() }
}

#[derive(Clone, Debug)]
struct ByWeight;

impl Weighter<CopyKey, Copied> for ByWeight {
    fn weight(&self, key: &CopyKey, copy: &Copied) -> u64 {
        let value_len = copy.kept.record().map_or(0, |record| record.value.len());
        FIXED_BYTES + (key.0.key.as_str().len() + value_len) as u64
    }
}

/// The right to keep an answer, as long as nobody has drawn a newer one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket(u64);

/// The copies of one tier.
pub(super) struct L1 {
    copies: Values<CopyKey, Copied, ByWeight, RandomState>,
    /// The current ticket of each shard; its lock is held while the shard's copies change.
    tickets: Box<[Mutex<u64>]>,
    hasher: RandomState,
    stats: L1Stats,
    #[cfg(test)]
    pub(super) fault: Option<super::tests::Fault>,
}

impl L1 {
    pub(super) fn new(capacity_bytes: u64) -> Self {
        let estimate = usize::try_from(capacity_bytes / (2 * FIXED_BYTES)).unwrap_or(usize::MAX);
        Self {
            copies: Values::with(
                estimate,
                capacity_bytes,
                ByWeight,
                RandomState::default(),
                DefaultLifecycle::default(),
            ),
            tickets: (0..SHARDS).map(|_| Mutex::new(0)).collect(),
            hasher: RandomState::default(),
            stats: L1Stats::default(),
            #[cfg(test)]
            fault: None,
        }
    }

    pub(super) fn stats(&self) -> &L1Stats {
        &self.stats
    }

    pub(super) fn len(&self) -> usize {
        self.copies.len()
    }

    fn shard(&self, slot: &Slot) -> &Mutex<u64> {
        let hash = self.hasher.hash_one(CopyKeyRef(&by_reference(slot)));
        &self.tickets[hash as usize % SHARDS]
    }

    pub(super) fn get(&self, slot: &Slot) -> Option<Copied> {
        self.get_ref(&by_reference(slot))
    }

    pub(super) fn get_ref(&self, slot: &SlotRef<'_>) -> Option<Copied> {
        self.copies.get(&CopyKeyRef(slot))
    }

    pub(super) fn ticket(&self, slot: &Slot) -> Ticket {
        Ticket(*self.shard(slot).lock())
    }

    /// Keeps a copy, if the ticket is still the current one.
    pub(super) fn insert(&self, slot: &Slot, ticket: Ticket, copy: Copied) {
        let current = self.shard(slot).lock();
        let is_current = *current == ticket.0;
        #[cfg(test)]
        let is_current = is_current || self.fault == Some(super::tests::Fault::AnyTicket);
        if is_current {
            self.copies.insert(CopyKey(slot.clone()), copy);
        } else {
            L1Stats::count(&self.stats.refused);
        }
    }

    /// Removes copies and voids the tickets of whoever is on the way with another.
    pub(super) fn empty(&self, slots: &[Slot]) {
        for slot in slots {
            let mut current = self.shard(slot).lock();
            let removed = self.copies.remove(&CopyKey(slot.clone()));
            #[cfg(test)]
            if removed.is_none() && self.fault == Some(super::tests::Fault::OnlyWithCopy) {
                continue;
            }
            drop(removed);
            *current += 1;
        }
    }
}
