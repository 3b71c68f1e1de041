// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a configuration of the model is made of: what is implemented, and what is usually done instead.

use crate::model::Promise;

/// One configuration: the rules, how much happens, and the promise that is checked.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// How a reader stores what it loaded.
    pub fill: FillRule,
    /// What a writer does to the slot, and when.
    pub write: WriteRule,
    /// When a fill asks for the key's lock.
    pub probe: ProbeRule,
    /// Which flights a reader joins.
    pub flights: Flights,
    /// Whether a token dies with its connection.
    pub tokens: Tokens,
    /// How other programs' writes reach the cache.
    pub feed: Feed,
    /// What is checked.
    pub promise: Promise,
    /// How many writers, one write each.
    pub writers: usize,
    /// How many readers.
    pub readers: usize,
    /// How many reads each makes.
    pub reads: u8,
    /// What may go wrong, and how often.
    pub faults: Faults,
    /// Whether states that differ only in which reader is which count as one. A counterexample would then
    /// confuse the readers' names.
    pub is_symmetric: bool,
}

/// How a reader stores what it loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FillRule {
    /// Under the lease that its look-up gave. Implemented.
    Lease,
    /// `set`.
    Set,
    /// `add`.
    Add,
}

/// What a writer does to the slot, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteRule {
    /// Marks between the row's lock and COMMIT, publishes afterwards under the mark. Implemented: write-through.
    MarkInside,
    /// Invalidates between the row's lock and COMMIT. Implemented: write-around.
    InvalidateInside,
    /// `set` after COMMIT.
    SetAfter,
    /// `delete` after COMMIT.
    DeleteAfter,
}

/// When a fill asks for the key's lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeRule {
    /// After the lease, before the snapshot. Implemented.
    BeforeSnapshot,
    /// After the snapshot.
    AfterSnapshot,
    /// Never.
    Never,
}

/// Which flights a reader joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flights {
    /// None: each reader for itself, as readers in different daemons are.
    None,
    /// Those that were not sent. Implemented.
    Unsent,
    /// Any.
    Any,
}

/// Whether a token dies with its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tokens {
    /// It does, so none outlives a restart. Implemented.
    Bound,
    /// It does not, and after a restart numbers come again.
    Unbound,
}

/// How other programs' writes reach the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    /// They do not.
    Off,
    /// Rows of the outbox are taken, the slot is invalidated, then the taking is confirmed. Implemented.
    Taken,
    /// Rows with an id beyond the last one seen.
    BeyondLastId,
    /// Rows are taken and that is confirmed before the slot is invalidated.
    ConfirmedFirst,
}

/// What may go wrong, and how often; what is left of it is part of a state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Faults {
    /// Writers that die.
    pub crashes: u8,
    /// Evictions.
    pub evictions: u8,
    /// Restarts of memcached.
    pub restarts: u8,
    /// Cache commands that are not answered.
    pub losses: u8,
    /// Commits whose outcome is not known.
    pub unknowns: u8,
    /// Writes to this row by other programs.
    pub outsiders: u8,
    /// Writes to another row by other programs.
    pub strangers: u8,
    /// Crashes of the outbox's reader.
    pub feed_crashes: u8,
}

impl Protocol {
    /// What is implemented, write-through; two writers, two readers with two reads each, nothing goes wrong.
    pub const STRICT: Self = Self {
        fill: FillRule::Lease,
        write: WriteRule::MarkInside,
        probe: ProbeRule::BeforeSnapshot,
        flights: Flights::None,
        tokens: Tokens::Bound,
        feed: Feed::Off,
        promise: Promise::Linear,
        writers: 2,
        readers: 2,
        reads: 2,
        faults: Faults {
            crashes: 0,
            evictions: 0,
            restarts: 0,
            losses: 0,
            unknowns: 0,
            outsiders: 0,
            strangers: 0,
            feed_crashes: 0,
        },
        is_symmetric: false,
    };

    /// Whether writers touch the slot between lock and COMMIT.
    pub(super) fn writes_inside(&self) -> bool {
        matches!(self.write, WriteRule::MarkInside | WriteRule::InvalidateInside)
    }
}
