// SPDX-License-Identifier: MIT OR Apache-2.0
//! Loads, and the fill that follows one: the only place where a loaded record enters a cache.

use std::sync::Arc;

use futures_util::FutureExt as _;
use throughline_core::{BoxFuture, Fill, Intent, Key, Loaded, Record, Result, Sent};

use super::{Read, Served};
use crate::lease::HeldLease;
use crate::space::Space;

/// Asks the source for one key.
pub(super) async fn load(space: &Arc<Space>, key: &Key, intent: Intent) -> Result<Loaded> {
    space.stats.loads.add(1);
    let loaded = space.parts.loader.load(key, intent).await;
    space.source_outage.note("source", space.name(), loaded.as_ref());
    if loaded.is_err() {
        space.stats.load_errors.add(1);
    }
    loaded
}

/// Loads under a lease and fills. The order is what makes the fill safe: token (the lease), then the probe
/// of the key's lock, then the snapshot (both in the source), then the store, which the cache refuses if
/// anything touched the slot since the token.
pub(super) async fn load_and_fill(
    space: &Arc<Space>,
    key: &Key,
    lease: HeldLease,
    sent: Sent,
) -> Result<Read> {
    space.stats.misses.add(1);
    let loaded = load(space, key, Intent { fill: true, sent }).await?;
    Ok(fill(space, lease, loaded))
}

/// Gives what was loaded to the cache, if it may be given, and to the caller, who does not wait for the cache.
pub(super) fn fill(space: &Arc<Space>, lease: HeldLease, loaded: Loaded) -> Read {
    let entry = space.entry(loaded.record);
    let fits = entry.record.as_ref().is_none_or(|record| fits(space, record));
    let stored = loaded.fillable && fits;
    if stored {
        let ttl_ms = space.ttl_ms(entry.is_negative());
        observe(space, lease.fill(entry.clone(), ttl_ms));
    } else {
        // Dropping the lease gives it back.
        drop(lease);
        if fits {
            space.stats.fills_not_granted.add(1);
        } else {
            space.stats.fills_too_large.add(1);
        }
    }
    Read::from_source(entry, Served::Miss { stored })
}

/// Whether a record is small enough to be cached.
pub(crate) fn fits(space: &Arc<Space>, record: &Record) -> bool {
    record.value.len() <= space.policy().entry_bytes_max
}

/// Counts how a fill that is on its way goes, without waiting for a cache that is not in this process.
fn observe(space: &Arc<Space>, mut outcome: BoxFuture<'static, Result<Fill>>) {
    match (&mut outcome).now_or_never() {
        Some(outcome) => space.count_fill(&outcome),
        None => space.count_later(outcome, Space::count_fill),
    }
}
