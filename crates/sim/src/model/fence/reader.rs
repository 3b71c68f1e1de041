// SPDX-License-Identifier: MIT OR Apache-2.0
//! The readers.

use super::{Breach, Content, Fence, Item, Sent, State};
use crate::model::Promise;
use crate::model::protocol::Token;

/// A reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reader {
    /// Where it is.
    pub at: ReaderAt,
    /// Reads left to make, the present one included.
    pub left: u8,
    /// The least version that the present read may return.
    pub floor: u8,
    /// The generation it reads under.
    pub generation: u8,
    /// The lease's token.
    pub token: Token,
}

/// Where a reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReaderAt {
    /// Between two reads.
    Idle,
    /// Its daemon's reader lease was valid; the look-up comes next, however late.
    Checked,
    /// It may load and fill.
    Leased,
    /// It goes past the cache.
    Past,
}

impl Reader {
    pub(super) fn new(reads: u8) -> Self {
        Self { at: ReaderAt::Idle, left: reads, floor: 0, generation: 0, token: Token::NONE }
    }
}

impl Fence {
    /// The next step of a daemon's reader; `None` when there is none.
    pub(super) fn read(&self, state: &mut State, index: usize) -> Option<()> {
        let (reader, daemon, row) = (state.readers[index], state.daemons[index], state.row);
        match reader.at {
            ReaderAt::Idle if reader.left == 0 => return None,
            ReaderAt::Idle => {
                let may_look = daemon.lease.is_some() && daemon.is_active;
                let next = &mut state.readers[index];
                next.floor = state.floor;
                next.at = if may_look { ReaderAt::Checked } else { ReaderAt::Past };
                next.generation = if may_look { daemon.generation } else { 0 };
            }
            ReaderAt::Checked if !self.reaches(state, index) || self.is_late(state, index) => {
                state.readers[index].at = ReaderAt::Past;
            }
            ReaderAt::Checked => self.look_up(state, index),
            ReaderAt::Leased => {
                if state.lock.is_none() {
                    let Reader { generation, token, .. } = reader;
                    state.sent.push(Sent { generation, token, version: row });
                }
                self.give_answer(state, index, row);
            }
            ReaderAt::Past => self.give_answer(state, index, row),
        }
        Some(())
    }

    /// Whether the answer comes after the end of the lease that the read began under.
    fn is_late(&self, state: &State, index: usize) -> bool {
        let daemon = state.daemons[index];
        let is_valid = daemon.lease.is_some()
            && daemon.is_active
            && daemon.generation == state.readers[index].generation;
        self.rechecks_lease && !is_valid
    }

    fn look_up(&self, state: &mut State, index: usize) {
        let slot = usize::from(state.readers[index].generation);
        match state.slots[slot].map(|item| item.content) {
            Some(Content::Value(version)) => self.give_answer(state, index, version),
            Some(Content::Lease | Content::Mark) => state.readers[index].at = ReaderAt::Past,
            None => {
                let token = state.new_token();
                state.slots[slot] = Some(Item { token, content: Content::Lease });
                state.readers[index].token = token;
                state.readers[index].at = ReaderAt::Leased;
            }
        }
    }

    fn give_answer(&self, state: &mut State, index: usize, version: u8) {
        let reader = state.readers[index];
        if version < reader.floor {
            state.breach = Some(Breach { shown: version, due: reader.floor });
        }
        if self.promise == Promise::Linear {
            state.floor = state.floor.max(version);
        }
        state.readers[index] = Reader::new(reader.left - 1);
    }
}
