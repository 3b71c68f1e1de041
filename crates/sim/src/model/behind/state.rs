// SPDX-License-Identifier: MIT OR Apache-2.0
//! What there is at a moment.

use super::Behind;

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The database: its row, how far the lane was applied, and the epoch that was claimed last.
    pub(super) row: u8,
    pub(super) watermark: u8,
    pub(super) claimed: u8,
    /// How many writes the journal has taken.
    pub(super) journal: u8,
    /// The owner: its epoch, what it knows of the watermark, and the newest write that is not applied.
    pub(super) epoch: u8,
    pub(super) known: u8,
    pub(super) overlay: Option<u8>,
    pub(super) slot: Slot,
    pub(super) tokens: u8,
    pub(super) writers: Vec<Writer>,
    pub(super) readers: Vec<Reader>,
    /// Stores that may be late for ever, and batches that may.
    pub(super) sent: Vec<Sent>,
    pub(super) flights: Vec<Flight>,
    /// The newest write that was acknowledged, and the newest version that a read has returned.
    pub(super) acked: u8,
    pub(super) returned: u8,
    pub(super) crashes_left: u8,
    pub(super) evictions_left: u8,
    pub(super) retries_left: u8,
    /// What was shown, and what was due.
    pub(super) breach: Option<(u8, u8)>,
}

/// The cache's slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Slot {
    /// Nothing.
    Empty,
    /// A lease with this token.
    Lease(u8),
    /// A mark with this token.
    Mark(u8),
    /// This version.
    Value(u8),
}

/// How far a writer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Writer {
    /// It has not begun.
    Idle,
    /// It has the key.
    Locked,
    /// The key is marked with this token, or not at all.
    Marked(Option<u8>),
    /// Its write is in the journal, as this version.
    Kept(Option<u8>, u8),
    /// It is acknowledged, or went with its process.
    Done,
}

/// How far a reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reader {
    /// Between two reads.
    Idle {
        /// Reads still to come.
        reads_left: u8,
    },
    /// It found no value, and has this lease, if any.
    Looked {
        /// Reads still to come, this one included.
        reads_left: u8,
        /// The oldest version that it may return.
        due: u8,
        /// Its lease.
        token: Option<u8>,
    },
    /// The overlay had nothing.
    Asking {
        /// As above.
        reads_left: u8,
        /// As above.
        due: u8,
        /// Its lease, if it may fill.
        token: Option<u8>,
    },
}

impl Reader {
    /// The reader after its process is gone: the read is not answered.
    pub(super) fn given_up(self) -> Self {
        match self {
            Self::Idle { .. } => self,
            Self::Looked { reads_left, .. } | Self::Asking { reads_left, .. } => {
                Self::Idle { reads_left: reads_left - 1 }
            }
        }
    }
}

/// What is on its way to the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sent {
    /// A version, if the slot still has this token.
    Store(u8, u8),
    /// An invalidation.
    Drop,
}

/// A batch on its way to the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flight {
    /// Who sent it.
    pub(super) epoch: u8,
    /// Where the watermark must be.
    pub(super) from: u8,
    /// The version that it writes.
    pub(super) to: u8,
}

impl State {
    pub(super) fn new(rules: &Behind) -> Self {
        Self {
            row: 0,
            watermark: 0,
            claimed: 0,
            journal: 0,
            epoch: 0,
            known: 0,
            overlay: None,
            slot: Slot::Value(0),
            tokens: 0,
            writers: vec![Writer::Idle; rules.writers.into()],
            readers: vec![Reader::Idle { reads_left: rules.reads }; 2],
            sent: Vec::new(),
            flights: Vec::new(),
            acked: 0,
            returned: 0,
            crashes_left: rules.crashes,
            evictions_left: rules.evictions,
            retries_left: rules.retries,
            breach: None,
        }
    }

    /// Whether a writer has the key.
    pub(super) fn is_locked(&self) -> bool {
        self.writers.iter().any(|writer| !matches!(writer, Writer::Idle | Writer::Done))
    }

    pub(super) fn token(&mut self) -> u8 {
        self.tokens += 1;
        self.tokens
    }

    /// A read returns a version.
    pub(super) fn answer(&mut self, due: u8, version: u8, reads_left: u8) -> Reader {
        if version < due {
            self.breach = Some((version, due));
        }
        self.returned = self.returned.max(version);
        Reader::Idle { reads_left: reads_left - 1 }
    }

    /// A read returns a version, and sends its fill if it may.
    pub(super) fn fill(&mut self, due: u8, version: u8, reads_left: u8, token: Option<u8>) -> Reader {
        self.sent.extend(token.map(|token| Sent::Store(token, version)));
        self.answer(due, version, reads_left)
    }

    pub(super) fn arrive(&mut self, index: usize) {
        match self.sent.remove(index) {
            Sent::Drop => self.slot = Slot::Empty,
            Sent::Store(token, version) => {
                if self.slot == Slot::Lease(token) || self.slot == Slot::Mark(token) {
                    self.slot = Slot::Value(version);
                }
            }
        }
    }
}
