// SPDX-License-Identifier: MIT OR Apache-2.0
//! Under which key a value is kept, and the same by reference.

use std::hash::{Hash, Hasher};

use quick_cache::Equivalent;
use throughline_core::{Generation, Key, ResourceName, Slot, SlotRef};

/// The key of a value or of a note. It counts references to the slot's own texts and copies nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoredKey {
    resource: ResourceName,
    generation: Generation,
    key: Key,
}

impl StoredKey {
    pub(super) fn of(slot: &Slot) -> Self {
        Self { resource: slot.resource.clone(), generation: slot.route.generation, key: slot.key.clone() }
    }

    /// Bytes of its own on the heap; the resource's name is shared by all.
    pub(super) fn text_len(&self) -> usize {
        self.key.as_str().len()
    }
}

impl Hash for StoredKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash(self.generation, self.key.as_str(), state);
    }
}

/// A [`StoredKey`] by reference.
///
/// It holds the reference that it was given and not a copy: a copy is made in units of 16 bytes from what was
/// just written in units of 8, which the processor cannot forward, and then each look-up waits for the one before
/// it (measured: 20 ns of a hit's 60).
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a>(pub(super) &'a SlotRef<'a>);

impl Hash for Place<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash(self.0.generation, self.0.key, state);
    }
}

impl Equivalent<StoredKey> for Place<'_> {
    fn equivalent(&self, stored: &StoredKey) -> bool {
        is_same(self.0.key, stored.key.as_str())
            && self.0.generation == stored.generation
            && *self.0.resource == stored.resource
    }
}

/// This runs at every hit, so only what tells keys apart goes in. Resources are told apart by their
/// generations, which assembly draws by chance; two that share one are still told apart by comparison. The end
/// mark that `str` would add is left out, because the hasher tells lengths apart by itself.
#[inline]
fn hash<H: Hasher>(generation: Generation, key: &str, state: &mut H) {
    state.write_u64(generation.node.rotate_left(32) ^ generation.resource);
    state.write(key.as_bytes());
}

/// Mostly both are the very same text in memory, and then nothing need be compared.
#[inline]
fn is_same(asked: &str, stored: &str) -> bool {
    std::ptr::eq(asked, stored) || asked == stored
}
