// SPDX-License-Identifier: MIT OR Apache-2.0
//! Write-around: the source only; the entry is invalidated and the next read fills it.
//!
//! The order is that of write-through: lock, invalidate (confirmed), commit. An invalidation after the
//! commit would leave an old value behind when the process dies in between; before the lock, a reader could
//! fill the old value again.

use throughline_core::{Effect, Result};

use super::quarantine::Quarantined;
use crate::mark::Manner;

/// What is done to the entry before the commit, where a load notices that its key is being written. Elsewhere it is marked, and the
/// mark is taken away after the commit.
pub(super) const MANNER: Manner = Manner::Invalidate;

/// Commits. What bounded resources did not confirm is owed from here on.
pub(super) async fn commit(quarantined: Quarantined) -> Result<Vec<Effect>> {
    quarantined.commit(|marks, _| drop(marks)).await
}
