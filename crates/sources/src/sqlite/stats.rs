// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an SQLite source counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the source was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SqliteStats {
    /// SELECTs that were run, for loads and within writes.
    pub read_statements: u64,
    /// Rows that they found.
    pub rows_read: u64,
    /// Loads that were answered: one for each call of `load` and of `load_many`.
    pub loads: u64,
    /// Keys whose fill was declined, because a prepared write held them.
    pub probes_refused: u64,
    /// Write transactions that were begun.
    pub transactions: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) read_statements: AtomicU64,
    pub(super) rows_read: AtomicU64,
    pub(super) loads: AtomicU64,
    pub(super) probes_refused: AtomicU64,
    pub(super) transactions: AtomicU64,
}

impl Counters {
    pub(super) fn stats(&self) -> SqliteStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SqliteStats {
            read_statements: read(&self.read_statements),
            rows_read: read(&self.rows_read),
            loads: read(&self.loads),
            probes_refused: read(&self.probes_refused),
            transactions: read(&self.transactions),
        }
    }
}
