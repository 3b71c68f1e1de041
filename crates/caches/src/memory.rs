// SPDX-License-Identifier: MIT OR Apache-2.0
//! A cache in this process's memory.
//!
//! Values live in a `quick_cache`, leases and marks in [`notes`]. A hit asks only the first: one hash, one
//! read lock of one shard, no allocation. Whatever changes a slot holds the lock of the slot's notes while it
//! changes the value too, so that a fill and a mark of one slot happen one after the other:
//!
//! | step | under the lock of the slot's notes |
//! |---|---|
//! | lease | only if there is no value |
//! | fill, publish | only if the token is still the slot's: take the note away, insert the value |
//! | mark | replace the note, remove the value |
//! | invalidate | take the note away, remove the value |

mod key;
mod notes;
mod plain;
mod stored;

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::RandomState;
use quick_cache::Equivalent;
use quick_cache::sync::{Cache as Values, DefaultLifecycle};
use throughline_core::{
    BoxFuture, Cache, Clock, Entry, Fill, Hit, KeptEntry, Lease, LocalCache, Lookup, Mark, Result, Scope,
    Slot, SlotRef, Tick, Token, Touch,
};

use key::{Place, StoredKey};
use notes::{Kind, Note, Notes, NotesShard};
use stored::{ByWeight, Stored};

pub use plain::{PlainMemory, PlainMemoryConfig};

/// How long a lease is good, from consistency.md, "Defaults".
const LEASE_MS: u64 = 5_000;
/// How long a mark stays when its writer neither publishes nor removes it; same source.
const MARK_MS: u64 = 10_000;

/// What to set on a [`MemoryCache`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryConfig {
    /// Room for keys, values and their bookkeeping, in bytes. Default: 256 MiB.
    pub capacity_bytes: u64,
    /// How many leases and marks there may be at a time; beyond it look-ups are refused a lease. About
    /// 200 bytes each. Default: 65,536.
    pub notes_len_max: usize,
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self { capacity_bytes: 256 * 1024 * 1024, notes_len_max: 65_536 }
    }
}

/// A cache in this process's memory, for any number of resources.
///
/// An entry above a quarter of the capacity is too large for it.
pub struct MemoryCache {
    values: Values<StoredKey, Stored, ByWeight, RandomState>,
    notes: Notes,
    clock: Arc<dyn Clock>,
    weight_max: u64,
    /// Of all tokens, so that no two are ever equal.
    next_token: AtomicU64,
    /// Names this cache in its tokens.
    id: u64,
}

impl fmt::Debug for MemoryCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryCache").field("weight_max", &self.weight_max).finish_non_exhaustive()
    }
}

impl MemoryCache {
    /// An empty cache.
    pub fn new(config: &MemoryConfig, clock: Arc<dyn Clock>) -> Self {
        let options = stored::options(config.capacity_bytes, stored::ENTRY_BYTES_ESTIMATE);
        let values =
            Values::with_options(options, ByWeight, RandomState::default(), DefaultLifecycle::default());
        Self {
            weight_max: stored::weight_max(config.capacity_bytes, values.shard_capacity()),
            values,
            notes: Notes::new(config.notes_len_max),
            clock,
            next_token: AtomicU64::new(1),
            id: crate::identity::next(),
        }
    }

    /// How many entries it holds, expired ones that nobody asked for included.
    pub fn entries(&self) -> usize {
        self.values.len()
    }

    /// How many bytes of its capacity are taken.
    pub fn weight_bytes(&self) -> u64 {
        self.values.weight()
    }

    /// The value of a slot if it has not expired; an expired one is removed.
    #[inline]
    fn look<Q: Hash + Equivalent<StoredKey>>(&self, key: &Q) -> Option<Hit> {
        let now = self.clock.now();
        let stored = self.values.get(key)?;
        if stored.is_expired(now) {
            // Asked again under the lock of the values: meanwhile it may have been replaced.
            self.values.remove_if(key, |stored| stored.is_expired(now));
            return None;
        }
        Some(Hit::of(stored, now))
    }

    fn look_or_lease(&self, slot: &Slot) -> Lookup {
        let key = StoredKey::of(slot);
        if let Some(hit) = self.look(&key) {
            return Lookup::Hit(hit);
        }
        let mut notes = self.notes.lock(&key);
        // A fill may have come between; now none can.
        if let Some(hit) = self.look(&key) {
            return Lookup::Hit(hit);
        }
        let now = self.clock.now();
        match notes.kind(&key, now) {
            Some(Kind::Mark) => Lookup::Marked,
            Some(Kind::Lease) => Lookup::Busy,
            None => match self.note(&mut notes, key, Kind::Lease, now) {
                Some(token) => Lookup::Leased(Lease { slot: slot.clone(), token }),
                None => Lookup::Refused,
            },
        }
    }

    fn mark_one(&self, slot: &Slot) -> Mark {
        let key = StoredKey::of(slot);
        let mut notes = self.notes.lock(&key);
        self.values.remove(&key);
        notes.remove(&key);
        // Where there is no room for the mark, the slot is empty and its tokens are void, which is all that a
        // mark must do; only the publish will be refused.
        let token = self.note(&mut notes, key, Kind::Mark, self.clock.now());
        Mark { slot: slot.clone(), token }
    }

    fn note(&self, notes: &mut NotesShard, key: StoredKey, kind: Kind, now: Tick) -> Option<Token> {
        let number = self.next_token.fetch_add(1, Ordering::Relaxed);
        let life_ms = match kind {
            Kind::Lease => LEASE_MS,
            Kind::Mark => MARK_MS,
        };
        let note = Note { kind, number, until: now.after_ms(life_ms) };
        notes.insert(key, note, now).then_some(Token { connection: self.id, number })
    }

    /// Stores `entry` if `token` is still the slot's, and takes the note away.
    fn store(&self, slot: &Slot, token: Token, entry: Entry, ttl_ms: u64) -> Fill {
        let key = StoredKey::of(slot);
        let now = self.clock.now();
        let mut notes = self.notes.lock(&key);
        if token.connection != self.id || !notes.take(&key, token.number, now) {
            return Fill::Refused;
        }
        let stored = Stored::new(KeptEntry::new(entry, now, now.after_ms(ttl_ms)));
        if stored::weight(&key, &stored) > self.weight_max {
            return Fill::TooLarge;
        }
        self.values.insert(key, stored);
        Fill::Stored
    }

    fn give_back(&self, slot: &Slot, token: Token) {
        if token.connection == self.id {
            let key = StoredKey::of(slot);
            self.notes.lock(&key).take(&key, token.number, self.clock.now());
        }
    }

    fn empty(&self, slot: &Slot) {
        let key = StoredKey::of(slot);
        let mut notes = self.notes.lock(&key);
        notes.remove(&key);
        self.values.remove(&key);
    }

    fn prolong(&self, slot: &Slot, ttl_ms: u64) -> Touch {
        let key = StoredKey::of(slot);
        let _ordered = self.notes.lock(&key);
        let now = self.clock.now();
        let Some(stored) = self.values.peek(&key).filter(|stored| !stored.is_expired(now)) else {
            return Touch::Absent;
        };
        let prolonged = stored.until(now.after_ms(ttl_ms));
        // Evictions do not take our lock, so the value may be gone by now: then it stays gone.
        match self.values.replace(key, Arc::new(prolonged), true) {
            Ok(()) => Touch::Done,
            Err(_) => Touch::Absent,
        }
    }
}

impl LocalCache for MemoryCache {
    fn try_get(&self, slot: SlotRef<'_>) -> Option<Hit> {
        self.look(&Place(&slot))
    }
}

/// The futures do their work when they are polled, all of it at once: one that is dropped before has done
/// nothing, so no lease or mark gets lost.
impl Cache for MemoryCache {
    fn scope(&self) -> Scope {
        Scope::Process
    }

    fn get<'a>(&'a self, slot: &'a Slot) -> BoxFuture<'a, Result<Lookup>> {
        Box::pin(async move { Ok(self.look_or_lease(slot)) })
    }

    fn get_many<'a>(&'a self, slots: &'a [Slot]) -> BoxFuture<'a, Vec<Result<Lookup>>> {
        Box::pin(async move { slots.iter().map(|slot| Ok(self.look_or_lease(slot))).collect() })
    }

    fn peek<'a>(&'a self, slot: &'a Slot) -> BoxFuture<'a, Result<Option<Hit>>> {
        Box::pin(async move { Ok(self.look(&StoredKey::of(slot))) })
    }

    fn fill(&self, lease: Lease, entry: Entry, ttl_ms: u64) -> BoxFuture<'static, Result<Fill>> {
        let fill = self.store(&lease.slot, lease.token, entry, ttl_ms);
        Box::pin(std::future::ready(Ok(fill)))
    }

    fn release(&self, lease: Lease) {
        self.give_back(&lease.slot, lease.token);
    }

    fn mark<'a>(&'a self, slots: &'a [Slot]) -> BoxFuture<'a, Vec<Result<Mark>>> {
        Box::pin(async move { slots.iter().map(|slot| Ok(self.mark_one(slot))).collect() })
    }

    fn publish(&self, mark: Mark, entry: Entry, ttl_ms: u64) -> BoxFuture<'static, Result<Fill>> {
        let fill = match mark.token {
            Some(token) => self.store(&mark.slot, token, entry, ttl_ms),
            None => Fill::Refused,
        };
        Box::pin(std::future::ready(Ok(fill)))
    }

    fn unmark(&self, mark: Mark) {
        if let Some(token) = mark.token {
            self.give_back(&mark.slot, token);
        }
    }

    fn invalidate<'a>(&'a self, slots: &'a [Slot]) -> BoxFuture<'a, Vec<Result<()>>> {
        Box::pin(async move {
            slots.iter().for_each(|slot| self.empty(slot));
            slots.iter().map(|_| Ok(())).collect()
        })
    }

    fn touch<'a>(&'a self, slot: &'a Slot, ttl_ms: u64) -> BoxFuture<'a, Result<Touch>> {
        Box::pin(async move { Ok(self.prolong(slot, ttl_ms)) })
    }
}
