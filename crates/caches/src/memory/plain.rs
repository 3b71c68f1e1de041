// SPDX-License-Identifier: MIT OR Apache-2.0
//! The plain space in this process's memory.
//!
//! Whatever stores holds the lock of the key's shard from its look to its store, so conditions and appends
//! of one key happen one after the other. Look-ups take no lock of ours.

use std::fmt;
use std::hash::{BuildHasher as _, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use foldhash::fast::RandomState;
use parking_lot::{Mutex, MutexGuard};
use quick_cache::sync::{Cache as Values, DefaultLifecycle};
use quick_cache::{Equivalent, Weighter};
use throughline_core::{BoxFuture, Clock, PlainItem, PlainStore, PlainStored, PlainWhen, Result, Tick};

use super::stored;

/// Enough that the threads of a large machine seldom meet.
const LOCKS: usize = 64;
/// As for entries with a source: both reference counts, and twice the fixed parts, because tables are up to
/// twice as large as what is in them.
const FIXED_BYTES: usize =
    2 * (21 + size_of::<PlainKey>() + size_of::<PlainValue>()) + 4 * size_of::<usize>();

/// What to set on a [`PlainMemory`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainMemoryConfig {
    /// Room for keys, values and their bookkeeping, in bytes. Default: 64 MiB.
    pub capacity_bytes: u64,
}

impl Default for PlainMemoryConfig {
    fn default() -> Self {
        Self { capacity_bytes: 64 * 1024 * 1024 }
    }
}

/// A plain space in this process's memory.
///
/// A value above a quarter of the capacity is too large for it.
pub struct PlainMemory {
    values: Values<PlainKey, PlainValue, ByWeight, RandomState>,
    locks: Box<[Mutex<()>]>,
    hasher: RandomState,
    clock: Arc<dyn Clock>,
    weight_max: u64,
    /// Of all stores, so that no cas number ever returns.
    next_cas: AtomicU64,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct PlainKey(Arc<[u8]>);

#[derive(PartialEq, Eq)]
struct PlainKeyRef<'a>(&'a [u8]);

impl Hash for PlainKeyRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Equivalent<PlainKey> for PlainKeyRef<'_> {
    fn equivalent(&self, key: &PlainKey) -> bool {
        *self.0 == *key.0
    }
}

#[derive(Clone)]
struct PlainValue {
    value: Bytes,
    flags: u32,
    cas: u64,
    deadline: Option<Tick>,
}

impl PlainValue {
    fn is_expired(&self, now: Tick) -> bool {
        self.deadline.is_some_and(|deadline| now >= deadline)
    }
}

#[derive(Clone)]
struct ByWeight;

impl Weighter<PlainKey, PlainValue> for ByWeight {
    fn weight(&self, key: &PlainKey, value: &PlainValue) -> u64 {
        weight(key.0.len(), value.value.len())
    }
}

fn weight(key_len: usize, value_len: usize) -> u64 {
    (FIXED_BYTES + key_len + value_len) as u64
}

impl fmt::Debug for PlainMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainMemory").field("weight_max", &self.weight_max).finish_non_exhaustive()
    }
}

impl PlainMemory {
    /// An empty space.
    pub fn new(config: &PlainMemoryConfig, clock: Arc<dyn Clock>) -> Self {
        let options = stored::options(config.capacity_bytes, stored::ENTRY_BYTES_ESTIMATE);
        let values =
            Values::with_options(options, ByWeight, RandomState::default(), DefaultLifecycle::default());
        Self {
            weight_max: stored::weight_max(config.capacity_bytes, values.shard_capacity()),
            values,
            locks: (0..LOCKS).map(|_| Mutex::new(())).collect(),
            hasher: RandomState::default(),
            clock,
            next_cas: AtomicU64::new(1),
        }
    }

    /// How many items it holds, expired ones that nobody asked for included.
    pub fn items(&self) -> usize {
        self.values.len()
    }

    /// How many bytes of its capacity are taken.
    pub fn weight_bytes(&self) -> u64 {
        self.values.weight()
    }

    fn lock(&self, key: &[u8]) -> MutexGuard<'_, ()> {
        self.locks[self.hasher.hash_one(key) as usize % LOCKS].lock()
    }

    fn look(&self, key: &[u8], now: Tick) -> Option<PlainValue> {
        let key = PlainKeyRef(key);
        let held = self.values.get(&key)?;
        if held.is_expired(now) {
            self.values.remove_if(&key, |held| held.is_expired(now));
            return None;
        }
        Some(held)
    }

    fn store(&self, key: &[u8], fresh: PlainValue, when: PlainWhen, now: Tick) -> PlainStored {
        let _ordered = self.lock(key);
        let held = self.look(key, now);
        let stored = match (when, held) {
            (PlainWhen::Always, _) | (PlainWhen::Absent, None) | (PlainWhen::Present, Some(_)) => fresh,
            (PlainWhen::Absent, Some(_))
            | (PlainWhen::Present | PlainWhen::Append | PlainWhen::Prepend, None) => {
                return PlainStored::NotStored;
            }
            (PlainWhen::Cas(_), None) => return PlainStored::NotFound,
            (PlainWhen::Cas(cas), Some(held)) if held.cas != cas => return PlainStored::Exists,
            (PlainWhen::Cas(_), Some(_)) => fresh,
            (PlainWhen::Append | PlainWhen::Prepend, Some(held))
                if self.is_too_large(key.len(), held.value.len() + fresh.value.len()) =>
            {
                return PlainStored::TooLarge;
            }
            (PlainWhen::Append, Some(held)) => {
                PlainValue { value: joined(&held.value, &fresh.value), ..held }
            }
            (PlainWhen::Prepend, Some(held)) => {
                PlainValue { value: joined(&fresh.value, &held.value), ..held }
            }
        };
        if self.is_too_large(key.len(), stored.value.len()) {
            return PlainStored::TooLarge;
        }
        let cas = self.next_cas.fetch_add(1, Ordering::Relaxed);
        self.values.insert(PlainKey(key.into()), PlainValue { cas, ..stored });
        PlainStored::Stored(cas)
    }

    fn is_too_large(&self, key_len: usize, value_len: usize) -> bool {
        weight(key_len, value_len) > self.weight_max
    }

    fn drop_item(&self, key: &[u8]) -> bool {
        let now = self.clock.now();
        let _ordered = self.lock(key);
        self.values.remove(&PlainKeyRef(key)).is_some_and(|(_, held)| !held.is_expired(now))
    }

    fn prolong(&self, key: &[u8], ttl_ms: Option<u64>) -> bool {
        let now = self.clock.now();
        let _ordered = self.lock(key);
        let Some(held) = self.look(key, now) else {
            return false;
        };
        let deadline = ttl_ms.map(|ttl_ms| now.after_ms(ttl_ms));
        self.values.replace(PlainKey(key.into()), PlainValue { deadline, ..held }, true).is_ok()
    }
}

fn joined(front: &Bytes, back: &Bytes) -> Bytes {
    let mut value = BytesMut::with_capacity(front.len() + back.len());
    value.extend_from_slice(front);
    value.extend_from_slice(back);
    value.freeze()
}

impl PlainStore for PlainMemory {
    fn get<'a>(&'a self, key: &'a [u8]) -> BoxFuture<'a, Result<Option<PlainItem>>> {
        let now = self.clock.now();
        let item = self.look(key, now).map(|held| PlainItem {
            value: held.value,
            flags: held.flags,
            cas: held.cas,
            ttl_left_ms: held.deadline.map(|deadline| deadline.ms_since(now)),
        });
        Box::pin(std::future::ready(Ok(item)))
    }

    fn set<'a>(
        &'a self,
        key: &'a [u8],
        value: Bytes,
        flags: u32,
        ttl_ms: Option<u64>,
        when: PlainWhen,
    ) -> BoxFuture<'a, Result<PlainStored>> {
        Box::pin(async move {
            let now = self.clock.now();
            let deadline = ttl_ms.map(|ttl_ms| now.after_ms(ttl_ms));
            // The cas number is given in `store`, when it is known that there is a store.
            Ok(self.store(key, PlainValue { value, flags, cas: 0, deadline }, when, now))
        })
    }

    fn remove<'a>(&'a self, key: &'a [u8]) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move { Ok(self.drop_item(key)) })
    }

    fn touch<'a>(&'a self, key: &'a [u8], ttl_ms: Option<u64>) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move { Ok(self.prolong(key, ttl_ms)) })
    }

    fn clear(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            // With every lock held no store is between its look and its insert, so none brings a value back.
            let _ordered: Vec<_> = self.locks.iter().map(|lock| lock.lock()).collect();
            self.values.clear();
            Ok(())
        })
    }
}
