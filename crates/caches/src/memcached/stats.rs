// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a memcached cache counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one server of a memcached cache, since the cache was made.
#[derive(Debug, Default)]
pub struct MemcachedStats {
    /// Commands that were queued for the server.
    pub commands: AtomicU64,
    /// Batches in which they were sent; the commands of one batch share a round trip.
    pub round_trips: AtomicU64,
    /// Requests whose caller went because the answer was late.
    pub timeouts: AtomicU64,
    /// Connections that were opened and admitted, the first ones included.
    pub connects: AtomicU64,
    /// Fills and publishes that stored nothing because their token was void.
    pub fills_refused: AtomicU64,
    /// Values that were not ours and have been removed.
    pub foreign_values: AtomicU64,
    /// Leases and marks that were given back because their caller had gone.
    pub unclaimed: AtomicU64,
}

impl MemcachedStats {
    pub(super) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
