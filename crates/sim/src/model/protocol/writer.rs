// SPDX-License-Identifier: MIT OR Apache-2.0
//! The writers. The steps follow the engine's `write/`.

use super::{Content, Holder, Item, Protocol, State, Token, WriteRule};

/// A writer, with one write to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Writer {
    /// Where it is.
    pub at: WriterAt,
    /// The mark's token.
    pub token: Token,
    /// The version it committed.
    pub version: u8,
}

/// Where a writer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WriterAt {
    /// Before its write.
    Idle,
    /// The statement has run; it holds the row's lock.
    Locked,
    /// The cache has confirmed the mark or the invalidation.
    Marked,
    /// It has committed, and the slot is still to be seen to: only where that is done afterwards.
    Committed,
    /// It does not know what became of its commit.
    Undecided,
    /// It has been acknowledged.
    Done,
    /// It has failed and said so.
    RolledBack,
    /// It has died, or never learns the outcome.
    Gone,
}

impl Writer {
    pub(super) const NEW: Self = Self { at: WriterAt::Idle, token: Token::NONE, version: 0 };

    /// Whether it has begun and not ended.
    pub(super) fn is_at_work(&self) -> bool {
        matches!(self.at, WriterAt::Locked | WriterAt::Marked | WriterAt::Committed)
    }

    /// Whether nothing more comes of it.
    pub(super) fn is_through(&self) -> bool {
        matches!(self.at, WriterAt::Done | WriterAt::RolledBack | WriterAt::Gone)
    }
}

impl Protocol {
    /// The next step of a writer; `None` when there is none.
    pub(super) fn write(&self, state: &mut State, index: usize, alt: u8) -> Option<()> {
        let at = state.writers[index].at;
        let takes_token = matches!(
            (self.write, at),
            (WriteRule::MarkInside, WriterAt::Locked) | (WriteRule::SetAfter, WriterAt::Committed)
        );
        if alt != 0 && !takes_token {
            return None;
        }
        match at {
            WriterAt::Idle if state.lock.is_some() => return None,
            WriterAt::Idle if self.writes_inside() => {
                state.lock = Some(Holder::Writer(index as u8));
                state.writers[index].at = WriterAt::Locked;
            }
            WriterAt::Idle => {
                state.commit(index);
                state.writers[index].at = WriterAt::Committed;
            }
            WriterAt::Locked => {
                self.touch_slot(state, index, alt)?;
                state.writers[index].at = WriterAt::Marked;
            }
            // Commit, acknowledge, and send the publish, which nobody waits for.
            WriterAt::Marked => {
                state.commit(index);
                let Writer { token, version, .. } = state.writers[index];
                if self.write == WriteRule::MarkInside {
                    state.send(token, Some(version));
                }
                state.acknowledge(index);
            }
            WriterAt::Committed => {
                self.touch_slot(state, index, alt)?;
                state.acknowledge(index);
            }
            WriterAt::Undecided | WriterAt::Done | WriterAt::RolledBack | WriterAt::Gone => return None,
        }
        Some(())
    }

    fn touch_slot(&self, state: &mut State, index: usize, alt: u8) -> Option<()> {
        let content = match self.write {
            WriteRule::MarkInside => Content::Mark(index as u8),
            WriteRule::SetAfter => Content::Value(state.writers[index].version),
            WriteRule::InvalidateInside | WriteRule::DeleteAfter => {
                state.slot = None;
                return Some(());
            }
        };
        let token = self.new_token(state, alt)?;
        state.slot = Some(Item { token, content });
        if self.write == WriteRule::MarkInside {
            state.writers[index].token = token;
        }
        Some(())
    }

    /// Whether a cache command is the writer's next step.
    pub(super) fn is_before_command(&self, writer: &Writer) -> bool {
        matches!(writer.at, WriterAt::Locked | WriterAt::Committed)
    }

    /// A cache command without an answer. Inside the transaction the write is rolled back; after it, the usual
    /// code logs a line and acknowledges.
    pub(super) fn lose_command(&self, state: &mut State, index: usize, applied: bool) -> Option<()> {
        state.left.losses -= 1;
        if applied {
            self.touch_slot(state, index, 0)?;
        }
        if state.writers[index].at == WriterAt::Committed {
            state.acknowledge(index);
        } else {
            state.end(index, WriterAt::RolledBack);
        }
        Some(())
    }
}

impl State {
    fn commit(&mut self, index: usize) {
        self.row += 1;
        self.writers[index].version = self.row;
        self.unlock(index);
    }

    fn unlock(&mut self, index: usize) {
        if self.lock == Some(Holder::Writer(index as u8)) {
            self.lock = None;
        }
    }

    fn acknowledge(&mut self, index: usize) {
        self.floor = self.floor.max(self.writers[index].version);
        self.end(index, WriterAt::Done);
    }

    fn end(&mut self, index: usize, at: WriterAt) {
        self.unlock(index);
        self.writers[index] = Writer { at, ..Writer::NEW };
    }

    pub(super) fn crash(&mut self, index: usize) {
        self.left.crashes -= 1;
        self.end(index, WriterAt::Gone);
    }

    /// The mark stays; the database decides at its leisure, with the lock held until then.
    pub(super) fn lose_outcome(&mut self, index: usize) {
        self.left.unknowns -= 1;
        self.writers[index] = Writer { at: WriterAt::Undecided, ..Writer::NEW };
    }

    pub(super) fn decide(&mut self, index: usize, committed: bool) {
        if committed {
            self.commit(index);
        }
        self.end(index, WriterAt::Gone);
    }
}
