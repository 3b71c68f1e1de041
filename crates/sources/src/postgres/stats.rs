// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a PostgreSQL source counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the source was connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PostgresStats {
    /// SELECTs that were sent for loads: one per batch of joined look-ups on the healthy path.
    pub read_statements: u64,
    /// Probes of keys' locks that were sent in front of them, without waiting for their answers.
    pub probe_statements: u64,
    /// Round trips for writes, COMMIT and ROLLBACK included; BEGIN travels with the first statement.
    pub write_round_trips: u64,
    /// Statements that were sent to the control tables.
    pub control_statements: u64,
    /// Keys that were looked up, joined or not.
    pub keys_read: u64,
    /// Keys whose fill was declined, because a transaction held their lock.
    pub probes_refused: u64,
    /// Connections that were opened.
    pub connections_opened: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) read_statements: AtomicU64,
    pub(super) probe_statements: AtomicU64,
    pub(super) write_round_trips: AtomicU64,
    pub(super) control_statements: AtomicU64,
    pub(super) keys_read: AtomicU64,
    pub(super) probes_refused: AtomicU64,
    pub(super) connections_opened: AtomicU64,
}

impl Counters {
    pub(super) fn add(counter: &AtomicU64, count: usize) {
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(super) fn stats(&self) -> PostgresStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        PostgresStats {
            read_statements: read(&self.read_statements),
            probe_statements: read(&self.probe_statements),
            write_round_trips: read(&self.write_round_trips),
            control_statements: read(&self.control_statements),
            keys_read: read(&self.keys_read),
            probes_refused: read(&self.probes_refused),
            connections_opened: read(&self.connections_opened),
        }
    }
}
