// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a service is asked, counted.

use std::sync::atomic::{AtomicU64, Ordering};

/// What was counted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HttpStats {
    /// GETs that were sent, for loads and to decide conditions.
    pub read_requests: u64,
    /// Requests that were sent to write.
    pub write_requests: u64,
    /// Requests that were answered by 429 or 5xx, or not at all.
    pub failed_requests: u64,
    /// Connections that were opened.
    pub connections_opened: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) read_requests: AtomicU64,
    pub(super) write_requests: AtomicU64,
    pub(super) failed_requests: AtomicU64,
    pub(super) connections_opened: AtomicU64,
}

impl Counters {
    pub(super) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> HttpStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        HttpStats {
            read_requests: read(&self.read_requests),
            write_requests: read(&self.write_requests),
            failed_requests: read(&self.failed_requests),
            connections_opened: read(&self.connections_opened),
        }
    }
}
