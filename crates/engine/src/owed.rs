// SPDX-License-Identifier: MIT OR Apache-2.0
//! Invalidations that the cache has not confirmed: bounded writes go on without it, and make up for it here.
//!
//! Until the invalidation of a key is confirmed, this process reads the key past the cache. When more keys
//! are owed than can be kept, it reads every key past the cache until all entries from before have expired.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use throughline_core::{Key, Tick};

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
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    /// Each key with the number of the last write that owes it, so that a confirmation does not settle a
    /// later write.
    keys: HashMap<Key, u64>,
    writes: u64,
    /// Set when keys had to be forgotten: until then everything is owed.
    all_until: Option<Tick>,
    retrying: bool,
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
            book.all_until.is_some() || book.keys.contains_key(key)
        }
    }

    /// How many invalidations are owed; all that were forgotten count as one.
    pub(crate) fn count(&self) -> usize {
        let book = self.book.lock();
        book.keys.len() + usize::from(book.all_until.is_some())
    }

    /// Owes the invalidation of `key` and sees to it in the background.
    pub(crate) fn add(&self, space: &Arc<Space>, key: Key) {
        space.stats.invalidations_owed.add(1);
        let mut book = self.book.lock();
        self.any.store(true, Ordering::Release);
        if book.keys.len() < KEYS_MAX || book.keys.contains_key(&key) {
            book.writes += 1;
            let write = book.writes;
            book.keys.insert(key, write);
        } else {
            book.all_until = Some(space.parts.clock.now().after_ms(space.parts.policy.ttl.entry_ms));
        }
        if !std::mem::replace(&mut book.retrying, true) {
            let space = space.clone();
            space.parts.tasks.clone().spawn("confirm owed invalidations", Box::pin(retry(space)));
        }
    }

    /// Tries once to have everything confirmed.
    pub(crate) async fn settle(&self, space: &Arc<Space>) {
        while self.any() && self.settle_batch(space).await {}
    }

    /// Sends one batch; whether another is worth sending at once.
    async fn settle_batch(&self, space: &Arc<Space>) -> bool {
        let batch: Vec<(Key, u64)> = {
            let book = self.book.lock();
            book.keys.iter().take(BATCH_MAX).map(|(key, write)| (key.clone(), *write)).collect()
        };
        let slots: Vec<_> = batch.iter().map(|(key, _)| space.slot(key)).collect();
        let answers = match &space.parts.cache {
            Some(cache) if !slots.is_empty() => cache.invalidate(&slots).await,
            _ => Vec::new(),
        };
        let now = space.parts.clock.now();
        let mut book = self.book.lock();
        let confirmed = batch.iter().zip(&answers).filter(|(_, answer)| answer.is_ok());
        let confirmed = confirmed.filter(|((key, write), _)| book.keys.get(key) == Some(write));
        let confirmed: Vec<_> = confirmed.map(|((key, _), _)| key.clone()).collect();
        for key in &confirmed {
            book.keys.remove(key);
        }
        book.all_until = book.all_until.filter(|until| *until > now);
        let clear = book.keys.is_empty() && book.all_until.is_none();
        self.any.store(!clear, Ordering::Release);
        !clear && !confirmed.is_empty()
    }
}

async fn retry(space: Arc<Space>) {
    let mut pause = PAUSE_MS.0;
    loop {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        pause = (pause * 2).min(PAUSE_MS.1);
        space.owed.settle(&space).await;
        let mut book = space.owed.book.lock();
        if book.keys.is_empty() && book.all_until.is_none() {
            book.retrying = false;
            return;
        }
    }
}
