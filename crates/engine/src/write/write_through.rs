// SPDX-License-Identifier: MIT OR Apache-2.0
//! Write-through: the source first, then the cache gets what was written.
//!
//! 1. The statements run in a transaction and hold the row's lock, so that nobody may fill its old value.
//! 2. The key is marked in the cache, confirmed: the old value is gone, and older leases are void.
//! 3. Commit, then acknowledge. Nothing is waited for in between, and nothing has to happen afterwards.
//! 4. The written value replaces the mark, on its way before the acknowledgement but not awaited.
//!
//! A crash before 3 rolls back and leaves at most a mark that expires; a crash after 3 leaves a mark or
//! nothing. No step leaves an old value behind.

use std::sync::Arc;

use throughline_core::{Effect, Result};

use super::quarantine::{Quarantined, Rows};
use crate::mark::{HeldMarks, Manner};
use crate::space::Space;

/// What happens at 2.
pub(super) const MANNER: Manner = Manner::Mark;

/// 3 and 4. Resources over the same table show the row differently, so only the one that wrote gets the record.
pub(super) async fn commit(quarantined: Quarantined, space: &Arc<Space>) -> Result<Vec<Effect>> {
    let publish = |marks: HeldMarks, rows: &Rows| {
        marks.publish(|target, key| rows.record(key).filter(|_| Arc::ptr_eq(target, space)));
    };
    quarantined.commit(publish).await
}
