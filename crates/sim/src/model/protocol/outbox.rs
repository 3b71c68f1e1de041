// SPDX-License-Identifier: MIT OR Apache-2.0
//! Other programs, whose triggers write the outbox, and the reader of the outbox.
//!
//! A trigger of our own writes leaves a row as well, which the writer takes away in its own transaction: that
//! it has marked the key is how it recognises its echo. So only other programs' rows are ever seen.

use super::{Feed, Holder, Protocol, State};

/// One transaction of another program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Outsider {
    /// Where it and its row of the outbox are.
    pub at: OutsiderAt,
    /// Whether it writes the modelled row, or another one.
    pub is_this_row: bool,
    /// The id of its row of the outbox.
    pub id: u8,
}

/// Where a transaction of another program and its row of the outbox are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutsiderAt {
    /// It has not begun.
    Idle,
    /// Its statement and the trigger have run: the id is taken, nobody sees the row.
    Open,
    /// It has committed, and the row waits in the outbox.
    Waiting,
    /// The reader has the row.
    Taken,
    /// The row is gone from the outbox.
    Gone,
}

/// Where the outbox's reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It has nothing in hand.
    Idle,
    /// It has rows in hand.
    Taken,
    /// It has done the first of the two: invalidate, and confirm the taking.
    Half,
}

impl State {
    /// The next step of another program; `None` when there is none.
    pub(super) fn outside(&mut self, index: usize) -> Option<()> {
        let outsider = &mut self.outsiders[index];
        match outsider.at {
            OutsiderAt::Idle if outsider.is_this_row && self.lock.is_some() => return None,
            OutsiderAt::Idle => {
                if outsider.is_this_row {
                    self.lock = Some(Holder::Outsider(index as u8));
                }
                outsider.id = self.next_id;
                outsider.at = OutsiderAt::Open;
                self.next_id += 1;
            }
            OutsiderAt::Open => {
                if outsider.is_this_row {
                    self.lock = None;
                    self.row += 1;
                }
                outsider.at = OutsiderAt::Waiting;
            }
            OutsiderAt::Waiting | OutsiderAt::Taken | OutsiderAt::Gone => return None,
        }
        Some(())
    }

    fn taken(&mut self) -> impl Iterator<Item = &mut Outsider> {
        self.outsiders.iter_mut().filter(|outsider| outsider.at == OutsiderAt::Taken)
    }

    fn invalidate_taken(&mut self) {
        if self.taken().any(|outsider| outsider.is_this_row) {
            self.slot = None;
        }
    }
}

impl Protocol {
    fn is_new(&self, state: &State, outsider: &Outsider) -> bool {
        outsider.at == OutsiderAt::Waiting && (self.feed != Feed::BeyondLastId || outsider.id > state.last_id)
    }

    /// Whether the feed has nothing left to do, now or when other programs go on.
    pub(super) fn is_drained(&self, state: &State) -> bool {
        let is_under_way = |outsider: &Outsider| {
            matches!(outsider.at, OutsiderAt::Idle | OutsiderAt::Open | OutsiderAt::Taken)
                || self.is_new(state, outsider)
        };
        state.phase == Phase::Idle && !state.outsiders.iter().any(is_under_way)
    }

    /// The next step of the outbox's reader; `None` when there is none.
    pub(super) fn consume(&self, state: &mut State) -> Option<()> {
        match (state.phase, self.feed) {
            (_, Feed::Off) => return None,
            (Phase::Idle, _) => {
                let new: Vec<usize> = (0..state.outsiders.len())
                    .filter(|index| self.is_new(state, &state.outsiders[*index]))
                    .collect();
                state.last_id = new.iter().map(|index| state.outsiders[*index].id).max()?;
                new.into_iter().for_each(|index| state.outsiders[index].at = OutsiderAt::Taken);
                state.phase = Phase::Taken;
            }
            (Phase::Taken, Feed::ConfirmedFirst) => state.phase = Phase::Half,
            (Phase::Taken, _) => {
                state.invalidate_taken();
                state.phase = Phase::Half;
            }
            (Phase::Half, feed) => {
                if feed == Feed::ConfirmedFirst {
                    state.invalidate_taken();
                }
                state.taken().for_each(|outsider| outsider.at = OutsiderAt::Gone);
                state.phase = Phase::Idle;
            }
        }
        Some(())
    }

    /// The outbox's reader dies: what it took and did not confirm is there again.
    pub(super) fn crash_feed(&self, state: &mut State) -> Option<()> {
        if state.phase == Phase::Idle {
            return None;
        }
        state.left.feed_crashes -= 1;
        let is_confirmed = self.feed == Feed::ConfirmedFirst && state.phase == Phase::Half;
        let back = if is_confirmed { OutsiderAt::Gone } else { OutsiderAt::Waiting };
        state.taken().for_each(|outsider| outsider.at = back);
        state.phase = Phase::Idle;
        Some(())
    }
}
