// SPDX-License-Identifier: MIT OR Apache-2.0
//! The writers.

use super::{Content, ControlRule, Fence, Item, NodeState, Sent, State, UnmarkableRule};
use crate::model::protocol::Token;

/// A writer, with one write to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Writer {
    /// Where it is.
    pub at: WriterAt,
    /// The generation that the control row said, then the one it marked.
    pub generation: u8,
    /// The state that the control row said.
    pub seen: NodeState,
    /// The mark's token.
    pub token: Token,
}

/// Where a writer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WriterAt {
    /// Before its write, or rolled back.
    Idle,
    /// It has read the control row and waits for the lock: only where that is the order.
    Informed,
    /// It holds the lock and knows the node's state.
    Locked,
    /// It has marked, or need not.
    Marked,
    /// It has been acknowledged.
    Done,
}

impl Writer {
    pub(super) const NEW: Self =
        Self { at: WriterAt::Idle, generation: 0, seen: NodeState::Active, token: Token::NONE };
}

impl Fence {
    /// The next step of a daemon's writer; `None` when there is none.
    pub(super) fn write(&self, state: &mut State, index: usize) -> Option<()> {
        let is_locked = state.lock.is_some();
        match state.writers[index].at {
            WriterAt::Idle if self.control == ControlRule::BeforeLock => {
                self.learn(state, index)?;
                state.writers[index].at = WriterAt::Informed;
            }
            WriterAt::Idle | WriterAt::Informed if is_locked => return None,
            WriterAt::Idle => {
                self.learn(state, index)?;
                state.lock = Some(index as u8);
                state.writers[index].at = WriterAt::Locked;
            }
            WriterAt::Informed => {
                state.lock = Some(index as u8);
                state.writers[index].at = WriterAt::Locked;
            }
            WriterAt::Locked => self.mark(state, index),
            WriterAt::Marked => state.commit(index),
            WriterAt::Done => return None,
        }
        Some(())
    }

    /// What the writer takes the node's state to be.
    fn learn(&self, state: &mut State, index: usize) -> Option<()> {
        let (control, daemon) = (state.control, state.daemons[index]);
        let (seen, generation) = match self.control {
            ControlRule::AfterLock | ControlRule::BeforeLock => (control.state, control.generation),
            ControlRule::LastPoll => {
                daemon.lease?;
                (if daemon.is_active { NodeState::Active } else { NodeState::Fenced }, daemon.generation)
            }
        };
        let writer = &mut state.writers[index];
        (writer.seen, writer.generation) = (seen, generation);
        Some(())
    }

    fn mark(&self, state: &mut State, index: usize) {
        let writer = state.writers[index];
        let generation = match writer.seen {
            NodeState::Active => writer.generation,
            // Those who still read, read under the generation before.
            NodeState::Fencing => writer.generation - u8::from(self.bumps),
            NodeState::Fenced => {
                state.writers[index].at = WriterAt::Marked;
                return;
            }
        };
        if self.reaches(state, index) {
            let token = state.new_token();
            state.slots[usize::from(generation)] = Some(Item { token, content: Content::Mark });
            state.writers[index] = Writer { at: WriterAt::Marked, generation, token, ..writer };
        } else if self.unmarkable == UnmarkableRule::Owe {
            state.owed.push(generation);
            state.writers[index].at = WriterAt::Marked;
        } else {
            state.lock = None;
            state.writers[index] = Writer::NEW;
        }
    }
}

impl State {
    /// Commit, acknowledge, and send the publish, which nobody waits for.
    fn commit(&mut self, index: usize) {
        let Writer { generation, token, .. } = self.writers[index];
        self.row += 1;
        self.lock = None;
        self.floor = self.floor.max(self.row);
        if token != Token::NONE {
            self.sent.push(Sent { generation, token, version: self.row });
        }
        self.writers[index] = Writer { at: WriterAt::Done, ..Writer::NEW };
    }
}
