// SPDX-License-Identifier: MIT OR Apache-2.0
//! Models of what is implemented, searched exhaustively: every order of steps and faults within a budget.
//!
//! - [`protocol`]: one key in one cache slot: leases, marks, coupled fills, publishes, write-around, flights,
//!   and the outbox that brings other programs' writes.
//! - [`fence`]: two daemons and a cache node that one of them may lose: reader leases, the control row,
//!   generations, the identity of the node.
//! - [`behind`]: the owner of accepted writes, its journal and overlay, and batches to the database.
//!
//! Each cache command and each statement is one step; whatever was sent may be late for ever. Beside what is
//! implemented stand the usual ways of getting it wrong, which must be convicted: a model that finds nothing in
//! those is broken. A verdict `holds` means: no order of steps within the budget breaks the promise, for this
//! abstraction of the code. What is not modelled: several keys, several nodes, the length of time.

pub mod behind;
mod cases;
pub mod fence;
pub mod protocol;
mod search;
mod table;

pub use cases::{Case, Scope, cases};
pub use search::{Finding, Told, Verdict, search};
pub use table::{line, trace};

/// What a search looks for a breach of. One search checks one promise, so that a breach of another does not
/// cut it short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// No read returns less than a write that was acknowledged before the read began.
    Headline,
    /// That, and no read returns less than what a read that ended before it began has returned.
    Linear,
    /// When writers are done and the feed is drained, the slot holds nothing older than the row.
    Converge,
}

impl Promise {
    /// Its name in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Headline => "HEADLINE",
            Self::Linear => "LINEAR",
            Self::Converge => "CONVERGE",
        }
    }
}
