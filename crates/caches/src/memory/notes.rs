// SPDX-License-Identifier: MIT OR Apache-2.0
//! Leases and marks: a bounded map, cut into shards, each under a lock that also orders changes of values.

use std::collections::HashMap;
use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;
use parking_lot::{Mutex, MutexGuard};
use throughline_core::Tick;

use super::key::StoredKey;

/// Enough that the threads of a large machine seldom meet.
const SHARDS: usize = 64;
/// A full shard is searched for expired notes at most this often.
const SWEEP_MS: u64 = 100;

/// What a note says about its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Lease,
    Mark,
}

/// A lease or a mark.
#[derive(Clone, Copy, Debug)]
pub(super) struct Note {
    pub(super) kind: Kind,
    /// The token's number.
    pub(super) number: u64,
    /// From then on it is void.
    pub(super) until: Tick,
}

/// All notes. A slot has at most one.
pub(super) struct Notes {
    shards: Box<[Mutex<NotesShard>]>,
    hasher: RandomState,
}

impl Notes {
    pub(super) fn new(len_max: usize) -> Self {
        let shard = || NotesShard {
            notes: HashMap::with_hasher(RandomState::default()),
            len_max: len_max.div_ceil(SHARDS),
            swept: Tick::default(),
        };
        Self { shards: (0..SHARDS).map(|_| Mutex::new(shard())).collect(), hasher: RandomState::default() }
    }

    /// Locks the notes of a slot, and of those that share its shard.
    pub(super) fn lock(&self, key: &StoredKey) -> MutexGuard<'_, NotesShard> {
        let hash = self.hasher.hash_one(key);
        self.shards[hash as usize % SHARDS].lock()
    }
}

/// The notes of one shard.
#[derive(Debug)]
pub(super) struct NotesShard {
    notes: HashMap<StoredKey, Note, RandomState>,
    len_max: usize,
    swept: Tick,
}

impl NotesShard {
    /// The kind of the slot's note, if it has one that has not expired.
    pub(super) fn kind(&self, key: &StoredKey, now: Tick) -> Option<Kind> {
        self.notes.get(key).filter(|note| now < note.until).map(|note| note.kind)
    }

    /// Replaces the slot's note; `false` when it had none and there is no room.
    pub(super) fn insert(&mut self, key: StoredKey, note: Note, now: Tick) -> bool {
        if self.notes.len() >= self.len_max && !self.notes.contains_key(&key) && !self.sweep(now) {
            return false;
        }
        self.notes.insert(key, note);
        true
    }

    /// Takes the slot's note away, whatever it is.
    pub(super) fn remove(&mut self, key: &StoredKey) {
        self.notes.remove(key);
    }

    /// Takes the slot's note away if it is this one; whether it was, and had not expired.
    pub(super) fn take(&mut self, key: &StoredKey, number: u64, now: Tick) -> bool {
        match self.notes.get(key) {
            Some(note) if note.number == number => {
                let live = now < note.until;
                self.notes.remove(key);
                live
            }
            _ => false,
        }
    }

    /// Drops expired notes; whether there is room now.
    fn sweep(&mut self, now: Tick) -> bool {
        if now.ms_since(self.swept) >= SWEEP_MS {
            self.swept = now;
            self.notes.retain(|_, note| now < note.until);
        }
        self.notes.len() < self.len_max
    }
}
