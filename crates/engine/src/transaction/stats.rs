// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is counted of one source's transactions.

use crate::stats::Counter;

/// The counters of one source's transactions.
#[derive(Debug, Default)]
pub struct TransactionStats {
    pub(super) begun: Counter,
    pub(super) committed: Counter,
    pub(super) rolled_back: Counter,
    pub(super) failed: Counter,
    pub(super) unmarkable: Counter,
    pub(super) unknown: Counter,
    pub(super) rows: Counter,
}

impl TransactionStats {
    /// Calls `each` with the name, the meaning and the number of every counter.
    pub fn for_each(&self, mut each: impl FnMut(&'static str, &'static str, u64)) {
        each("transactions_begun", "Transactions that applications began.", self.begun.get());
        each("transactions_committed", "Of these, committed.", self.committed.get());
        each("transactions_rolled_back", "Rolled back on demand.", self.rolled_back.get());
        each("transactions_failed", "Whose commit failed; nothing was written.", self.failed.get());
        each(
            "transactions_unmarkable",
            "Rolled back at their commit because a cache did not confirm the marks.",
            self.unmarkable.get(),
        );
        each(
            "transactions_unknown",
            "Of which the source did not say whether they were committed.",
            self.unknown.get(),
        );
        each("transaction_rows", "Rows that committed transactions wrote or touched.", self.rows.get());
    }
}
