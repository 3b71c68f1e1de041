// SPDX-License-Identifier: MIT OR Apache-2.0
//! A lease that gives itself back.

use std::sync::Arc;

use throughline_core::{BoxFuture, Cache, Entry, Fill, Lease, Result};

/// A lease in the hands of whoever loads. Dropped before the fill, it is released, so that the next reader
/// need not wait for it to expire.
#[derive(Debug)]
pub(crate) struct HeldLease {
    cache: Arc<dyn Cache>,
    lease: Option<Lease>,
}

impl HeldLease {
    pub(crate) fn new(cache: Arc<dyn Cache>, lease: Lease) -> Self {
        Self { cache, lease: Some(lease) }
    }

    /// Stores `entry`; it is on its way when this returns.
    pub(crate) fn fill(mut self, entry: Entry, ttl_ms: u64) -> BoxFuture<'static, Result<Fill>> {
        let lease = self.lease.take().expect("only this method and drop take the lease");
        self.cache.fill(lease, entry, ttl_ms)
    }
}

impl Drop for HeldLease {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            self.cache.release(lease);
        }
    }
}
