// SPDX-License-Identifier: MIT OR Apache-2.0
//! The keys of the prepared write: what a fill must not be read beside.

use std::collections::HashSet;

use parking_lot::RwLock;
use throughline_core::Key;

/// Which keys a prepared write holds, per table.
///
/// There is one writer, so there is one such set. A key is put in before the write can be committed and
/// taken out after its COMMIT or ROLLBACK ended; a load for a fill looks before its snapshot begins. So a
/// load that found the key free either sees the write or began before the write's mark was asked for.
#[derive(Debug, Default)]
pub(super) struct Held(RwLock<HashSet<(usize, Key)>>);

impl Held {
    /// Holds `key` of the table at `table` in the catalogue.
    pub(super) fn hold(&self, table: usize, key: Key) {
        self.0.write().insert((table, key));
    }

    /// Whether `key` is held.
    pub(super) fn is_held(&self, table: usize, key: &Key) -> bool {
        let held = self.0.read();
        // Most of the time nothing is held, and then the key need not be copied.
        !held.is_empty() && held.contains(&(table, key.clone()))
    }

    /// Lets all keys go.
    pub(super) fn release(&self) {
        self.0.write().clear();
    }
}
