// SPDX-License-Identifier: MIT OR Apache-2.0
//! Invalidations that the cache has not confirmed: bounded writes go on without it, and make up for it here.
//!
//! Until the invalidation of a key is confirmed, this process reads the key past the cache. When more keys
//! are owed than can be kept, it reads every key past the cache until all entries from before have expired.
//!
//! With a journal that holds over a crash as well:
//!
//! 1. The mark is not confirmed: the key is owed from now on ([`Owing`]), but not sent yet, because somebody could
//!    fill the old value again before the commit.
//! 2. The key is journalled, durably. Only then may the write commit.
//! 3. After the commit (or the roll-back) the invalidation is sent until it is confirmed, and then confirmed to the
//!    journal.
//!
//! A crash before 2 rolls the write back. A crash after it leaves the record, and the next start owes the key again
//! before anything is served.

mod record;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use throughline_core::{Journal, Key, Position, Result, Tick};

use crate::space::Space;

/// Keys that are remembered one by one (about 10 MB at most); beyond it the whole resource is owed.
const KEYS_MAX: usize = 65_536;
/// Keys that one retry sends.
const BATCH_MAX: usize = 1_000;
/// Pauses between retries, in milliseconds: doubled from the first to the last.
const PAUSE_MS: (u64, u64) = (50, 2_000);

/// The invalidations that one resource owes its cache.
#[derive(Debug, Default)]
pub(crate) struct Owed {
    any: AtomicBool,
    journal: OnceLock<Arc<dyn Journal>>,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    keys: HashMap<Key, Debt>,
    writes: u64,
    /// What is owed for keys that had to be forgotten: everything.
    all: Option<AllOwed>,
    retrying: bool,
}

/// What is owed for one key.
#[derive(Debug, Default)]
struct Debt {
    /// The number of the last write that owes it, so that a confirmation does not settle a later write.
    write: u64,
    /// Writes that have not committed yet: until then an invalidation would come too early.
    writers: u32,
    /// Its records in the journal.
    positions: Vec<Position>,
}

#[derive(Debug)]
struct AllOwed {
    until: Tick,
    writers: u32,
    positions: Vec<Position>,
}

impl Book {
    fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.all.is_none()
    }
}

/// A write that owes the invalidation of a key, from before its commit. Dropped, it is seen to, however the
/// commit went: a caller may leave while it takes place.
#[derive(Debug)]
pub(crate) struct Owing {
    space: Arc<Space>,
    key: Key,
    /// Whether it is counted with the key, or with all.
    is_by_key: bool,
}

impl Owing {
    /// Owes the invalidation of `key` from now on.
    pub(crate) fn new(space: &Arc<Space>, key: &Key) -> Self {
        space.stats.invalidations_owed.add(1);
        let is_by_key = space.owed.begin(space, key);
        Self { space: space.clone(), key: key.clone(), is_by_key }
    }

    /// Ready when the debt would survive a crash; at once without a journal. The write may not commit before.
    ///
    /// # Errors
    /// Those of the journal: then the write must be rolled back.
    pub(crate) async fn keep(&self) -> Result<()> {
        let owed = &self.space.owed;
        let Some(journal) = owed.journal.get() else { return Ok(()) };
        let mut is_kept = false;
        owed.with_positions(self, |positions| is_kept = !positions.is_empty());
        if is_kept {
            return Ok(());
        }
        let key = self.is_by_key.then_some(&self.key);
        let position = journal.append(record::encode(self.space.name(), key)).await?;
        // Still there: nothing is settled while it is being written.
        owed.with_positions(self, |positions| positions.push(position));
        Ok(())
    }
}

impl Drop for Owing {
    fn drop(&mut self) {
        self.space.owed.end(&self.space, self);
    }
}

impl Owed {
    /// Whether anything is owed; one load, for the hit.
    pub(crate) fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// Whether `key` must be read past the cache.
    pub(crate) fn holds(&self, key: &Key) -> bool {
        self.any() && {
            let book = self.book.lock();
            book.all.is_some() || book.keys.contains_key(key)
        }
    }

    /// How many invalidations are owed; all that were forgotten count as one.
    pub(crate) fn count(&self) -> usize {
        let book = self.book.lock();
        book.keys.len() + usize::from(book.all.is_some())
    }

    fn begin(&self, space: &Space, key: &Key) -> bool {
        let mut book = self.book.lock();
        self.any.store(true, Ordering::Release);
        let is_by_key = book.keys.len() < KEYS_MAX || book.keys.contains_key(key);
        if is_by_key {
            book.writes += 1;
            let write = book.writes;
            let debt = book.keys.entry(key.clone()).or_default();
            debt.write = write;
            debt.writers += 1;
        } else {
            book.all(space).writers += 1;
        }
        is_by_key
    }

    fn end(&self, space: &Arc<Space>, owing: &Owing) {
        let mut book = self.book.lock();
        if owing.is_by_key {
            let debt = book.keys.get_mut(&owing.key).expect("a key is not settled while it is being written");
            debt.writers -= 1;
        } else {
            book.all(space).writers -= 1;
        }
        self.see_to(space, &mut book);
    }

    fn see_to(&self, space: &Arc<Space>, book: &mut Book) {
        if !std::mem::replace(&mut book.retrying, true) {
            let space = space.clone();
            space.parts.tasks.clone().spawn("confirm owed invalidations", Box::pin(retry(space)));
        }
    }

    fn with_positions(&self, owing: &Owing, each: impl FnOnce(&mut Vec<Position>)) {
        let mut book = self.book.lock();
        let positions = if owing.is_by_key {
            book.keys.get_mut(&owing.key).map(|debt| &mut debt.positions)
        } else {
            book.all.as_mut().map(|all| &mut all.positions)
        };
        each(positions.expect("nothing is settled while it is being written"));
    }

    /// Owes again what an earlier process left in the journal, and keeps what is owed from now on in it. Called once,
    /// before anything is served; how many of the records were of this resource.
    fn replay(&self, space: &Arc<Space>, journal: Arc<dyn Journal>, pending: &[(Position, Bytes)]) -> usize {
        self.journal.set(journal).expect("assembly names the journal once");
        let own = pending.iter().filter_map(|(position, bytes)| Some((*position, record::decode(bytes)?)));
        let own = own.filter(|(_, record)| record.resource == space.name().as_str());
        let mut book = self.book.lock();
        let mut count = 0;
        for (position, record) in own {
            count += 1;
            match record.key {
                Some(key) if book.keys.len() < KEYS_MAX || book.keys.contains_key(&key) => {
                    book.keys.entry(key).or_default().positions.push(position);
                }
                _ => book.all(space).positions.push(position),
            }
        }
        if count > 0 {
            space.stats.invalidations_replayed.add(count as u64);
            self.any.store(true, Ordering::Release);
            self.see_to(space, &mut book);
        }
        count
    }

    /// Tries once to have everything confirmed.
    pub(crate) async fn settle(&self, space: &Arc<Space>) {
        while self.any() && self.settle_batch(space).await {}
    }

    /// Sends one batch; whether another is worth sending at once.
    async fn settle_batch(&self, space: &Arc<Space>) -> bool {
        let batch: Vec<(Key, u64)> = {
            let book = self.book.lock();
            let settled = book.keys.iter().filter(|(_, debt)| debt.writers == 0).take(BATCH_MAX);
            settled.map(|(key, debt)| (key.clone(), debt.write)).collect()
        };
        let keys: Vec<Key> = batch.iter().map(|(key, _)| key.clone()).collect();
        let answers = if keys.is_empty() { Vec::new() } else { space.invalidate_entries(&keys).await };
        let now = space.parts.clock.now();
        let mut book = self.book.lock();
        let confirmed = batch.iter().zip(&answers).filter(|(_, answer)| answer.is_ok());
        let is_same = |book: &Book, key, write| {
            book.keys.get(key).is_some_and(|debt| debt.write == write && debt.writers == 0)
        };
        let confirmed = confirmed.filter(|((key, write), _)| is_same(&book, key, *write));
        let confirmed: Vec<_> = confirmed.map(|((key, _), _)| key.clone()).collect();
        let debts = confirmed.iter().filter_map(|key| book.keys.remove(key));
        let mut positions: Vec<Position> = debts.flat_map(|debt| debt.positions).collect();
        if let Some(all) = book.all.take_if(|all| all.writers == 0 && all.until <= now) {
            positions.extend(all.positions);
        }
        let clear = book.is_empty();
        self.any.store(!clear, Ordering::Release);
        drop(book);
        if let Some(journal) = self.journal.get().filter(|_| !positions.is_empty()) {
            journal.confirm(&positions);
        }
        !clear && !confirmed.is_empty()
    }
}

impl Book {
    /// Owes everything, until whatever is in the cache by now has expired.
    fn all(&mut self, space: &Space) -> &mut AllOwed {
        let until = space.parts.clock.now().after_ms(space.parts.policy.ttl.entry_ms);
        let all = self.all.get_or_insert(AllOwed { until, writers: 0, positions: Vec::new() });
        all.until = until;
        all
    }
}

impl Space {
    /// Keeps what this resource owes its cache in `journal`, so that a crash does not forget it, and owes again what
    /// is `pending` there. Called once, before anything is served; how many of the records were of this resource.
    ///
    /// # Panics
    /// When it is called twice.
    pub fn keep_owed_in(self: &Arc<Self>, journal: Arc<dyn Journal>, pending: &[(Position, Bytes)]) -> usize {
        self.owed.replay(self, journal, pending)
    }
}

async fn retry(space: Arc<Space>) {
    let mut pause = PAUSE_MS.0;
    loop {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        pause = (pause * 2).min(PAUSE_MS.1);
        space.owed.settle(&space).await;
        let mut book = space.owed.book.lock();
        if book.is_empty() {
            book.retrying = false;
            return;
        }
    }
}
