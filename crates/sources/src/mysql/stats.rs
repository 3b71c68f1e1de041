// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a MySQL source counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the source was connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MysqlStats {
    /// Statements that were sent for reads: one per batch of joined look-ups on the healthy path.
    pub read_statements: u64,
    /// Statements that were sent for writes, COMMIT and ROLLBACK included: each is one round trip.
    pub write_statements: u64,
    /// Statements that were sent to the control tables.
    pub control_statements: u64,
    /// Keys that were looked up, joined or not.
    pub keys_read: u64,
    /// Keys whose fill was declined, because a transaction held their lock or the account may not lock.
    pub probes_refused: u64,
    /// Connections that were opened.
    pub connections_opened: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) read_statements: AtomicU64,
    pub(super) write_statements: AtomicU64,
    pub(super) control_statements: AtomicU64,
    pub(super) keys_read: AtomicU64,
    pub(super) probes_refused: AtomicU64,
    pub(super) connections_opened: AtomicU64,
}

impl Counters {
    pub(super) fn add(counter: &AtomicU64, count: usize) {
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(super) fn stats(&self) -> MysqlStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        MysqlStats {
            read_statements: read(&self.read_statements),
            write_statements: read(&self.write_statements),
            control_statements: read(&self.control_statements),
            keys_read: read(&self.keys_read),
            probes_refused: read(&self.probes_refused),
            connections_opened: read(&self.connections_opened),
        }
    }
}
