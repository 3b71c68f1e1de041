// SPDX-License-Identifier: MIT OR Apache-2.0
//! The readers. The names follow the engine's `read/`.

use super::{Breach, Content, FillRule, Flights, Holder, Item, ProbeRule, Protocol, State, Token};
use crate::model::Promise;

/// A reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reader {
    /// Where it is.
    pub at: ReaderAt,
    /// Reads left to make, the present one included.
    pub left: u8,
    /// The lease's token.
    pub token: Token,
    /// The least version that the present read may return.
    pub floor: u8,
}

/// Where a reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReaderAt {
    /// Between two reads.
    Idle,
    /// Its flight has begun and is not sent.
    Boarded,
    /// Somebody else is at work on the key; it looks again, or gives up.
    Waiting,
    /// It may load and fill.
    Leased,
    /// The probe was granted; the snapshot comes next.
    Probed,
    /// It has read this, and the probe comes afterwards.
    Unprobed(u8),
    /// It goes past the cache.
    Past,
    /// Its flight brought this version, which it has not returned yet.
    Landed(u8),
    /// It waits for this reader's flight.
    Joined(u8),
}

impl Reader {
    pub(super) fn new(reads: u8) -> Self {
        Self { at: ReaderAt::Idle, left: reads, token: Token::NONE, floor: 0 }
    }

    /// Whether a look-up is its next step.
    pub(super) fn is_before_look_up(&self, protocol: &Protocol) -> bool {
        match self.at {
            ReaderAt::Idle => self.left > 0 && protocol.flights == Flights::None,
            ReaderAt::Boarded => true,
            _ => false,
        }
    }
}

impl Protocol {
    /// The next step of a reader; `None` when there is none.
    pub(super) fn read(&self, state: &mut State, index: usize, alt: u8) -> Option<()> {
        let reader = state.readers[index];
        let takes_token = matches!(reader.at, ReaderAt::Idle | ReaderAt::Boarded | ReaderAt::Waiting)
            && state.slot.is_none();
        if alt != 0 && !(takes_token && self.fill == FillRule::Lease) {
            return None;
        }
        match reader.at {
            ReaderAt::Idle if reader.left == 0 => return None,
            ReaderAt::Idle => {
                state.readers[index].floor = state.floor;
                if self.flights != Flights::None {
                    state.readers[index].at = ReaderAt::Boarded;
                    return (alt == 0).then_some(());
                }
                self.look_up(state, index, alt)?;
            }
            ReaderAt::Boarded | ReaderAt::Waiting => self.look_up(state, index, alt)?,
            ReaderAt::Leased => self.load(state, index),
            ReaderAt::Probed => self.fill(state, index, state.row),
            ReaderAt::Unprobed(version) if is_granted(state) => self.fill(state, index, version),
            ReaderAt::Unprobed(version) => self.give_back(state, index, version),
            ReaderAt::Past => self.land(state, index, state.row),
            ReaderAt::Landed(version) => self.finish(state, index, version),
            ReaderAt::Joined(_) => return None,
        }
        Some(())
    }

    fn look_up(&self, state: &mut State, index: usize, alt: u8) -> Option<()> {
        match state.slot.map(|item| item.content) {
            Some(Content::Value(version)) => self.land(state, index, version),
            Some(Content::Lease | Content::Mark(_)) => {
                if state.readers[index].at == ReaderAt::Waiting {
                    return None;
                }
                state.readers[index].at = ReaderAt::Waiting;
            }
            None => {
                if self.fill == FillRule::Lease {
                    let token = self.new_token(state, alt)?;
                    state.slot = Some(Item { token, content: Content::Lease });
                    state.readers[index].token = token;
                }
                state.readers[index].at = ReaderAt::Leased;
            }
        }
        Some(())
    }

    /// The probe, or what takes its place.
    fn load(&self, state: &mut State, index: usize) {
        match self.probe {
            ProbeRule::BeforeSnapshot if is_granted(state) => state.readers[index].at = ReaderAt::Probed,
            ProbeRule::BeforeSnapshot => {
                let token = std::mem::replace(&mut state.readers[index].token, Token::NONE);
                state.send(token, None);
                state.readers[index].at = ReaderAt::Past;
            }
            ProbeRule::AfterSnapshot => state.readers[index].at = ReaderAt::Unprobed(state.row),
            ProbeRule::Never => self.fill(state, index, state.row),
        }
    }

    fn fill(&self, state: &mut State, index: usize, version: u8) {
        state.send(state.readers[index].token, Some(version));
        self.land(state, index, version);
    }

    fn give_back(&self, state: &mut State, index: usize, version: u8) {
        state.send(state.readers[index].token, None);
        self.land(state, index, version);
    }

    fn land(&self, state: &mut State, index: usize, version: u8) {
        state.readers[index].token = Token::NONE;
        if self.flights == Flights::None {
            self.finish(state, index, version);
        } else {
            state.readers[index].at = ReaderAt::Landed(version);
        }
    }

    /// The read returns, and so does every read that joined it.
    fn finish(&self, state: &mut State, index: usize, version: u8) {
        let joined = ReaderAt::Joined(index as u8);
        for reader in 0..state.readers.len() {
            if reader == index || state.readers[reader].at == joined {
                self.give_answer(state, reader, version);
            }
        }
    }

    fn give_answer(&self, state: &mut State, index: usize, version: u8) {
        let reader = &mut state.readers[index];
        if version < reader.floor && self.promise != Promise::Converge {
            state.breach = Some(Breach { shown: version, due: reader.floor });
        }
        if self.promise == Promise::Linear {
            state.floor = state.floor.max(version);
        }
        *reader = Reader::new(reader.left - 1);
    }

    /// Whether a read that begins may join this one.
    pub(super) fn may_join(&self, leader: &Reader) -> bool {
        match (self.flights, leader.at) {
            (Flights::None, _) | (_, ReaderAt::Idle | ReaderAt::Joined(_)) => false,
            (Flights::Unsent, at) => at == ReaderAt::Boarded,
            (Flights::Any, _) => true,
        }
    }

    pub(super) fn join(&self, state: &mut State, index: usize, leader: u8) {
        state.readers[index].floor = state.floor;
        state.readers[index].at = ReaderAt::Joined(leader);
    }

    /// A look-up without an answer: the read goes past the cache, and a lease may stay behind.
    pub(super) fn lose_look_up(&self, state: &mut State, index: usize, applied: bool) -> Option<()> {
        state.left.losses -= 1;
        if applied {
            if state.slot.is_some() || self.fill != FillRule::Lease {
                return None;
            }
            let token = self.new_token(state, 0)?;
            state.slot = Some(Item { token, content: Content::Lease });
        }
        if state.readers[index].at == ReaderAt::Idle {
            state.readers[index].floor = state.floor;
        }
        state.readers[index].at = ReaderAt::Past;
        Some(())
    }
}

/// Whether the key's lock is free for a fill.
fn is_granted(state: &State) -> bool {
    !matches!(state.lock, Some(Holder::Writer(_)))
}
