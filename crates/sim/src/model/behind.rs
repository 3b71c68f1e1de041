// SPDX-License-Identifier: MIT OR Apache-2.0
//! Write-behind: one owner, its journal, its overlay, a cache slot, and batches that may be late or sent twice.
//!
//! Versions are the places in the journal, so the order in which writes are accepted is the order of their numbers.
//! A crash takes the overlay and everything that was under way; the next process reads the journal and the database's
//! watermark in one step.

mod state;
mod tell;

use stateright::{Model, Property};

pub use state::{Flight, Reader, Sent, Slot, State, Writer};

use super::Promise;
use super::search::{Told, promise};

/// One configuration: the rules, how much happens, and the promise that is checked.
#[derive(Clone, Copy, Debug)]
pub struct Behind {
    /// Whether a miss is answered by what was accepted, before the database is asked. Implemented: yes.
    pub has_overlay: bool,
    /// Whether a batch is applied only if the watermark is where it begins, under its owner's epoch. Implemented: yes.
    pub has_watermark: bool,
    /// Whether the key is marked in the cache before the append. Implemented: yes.
    pub marks: bool,
    /// Whether a load under a lease that meets a writer is not filled. Implemented: yes.
    pub probes: bool,
    /// Whether what was appended is there after a crash. Implemented: yes.
    pub is_durable: bool,
    /// What is checked.
    pub promise: Promise,
    /// How many writers, with one write each.
    pub writers: u8,
    /// How many reads each of two readers makes.
    pub reads: u8,
    /// Crashes of the owner.
    pub crashes: u8,
    /// Evictions of the slot.
    pub evictions: u8,
    /// Batches that are sent although an earlier one was not answered.
    pub retries: u8,
}

impl Behind {
    /// What is implemented, with one of each fault.
    pub const STRICT: Self = Self {
        has_overlay: true,
        has_watermark: true,
        marks: true,
        probes: true,
        is_durable: true,
        promise: Promise::Linear,
        writers: 2,
        reads: 2,
        crashes: 1,
        evictions: 1,
        retries: 1,
    };
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// This writer goes on.
    Write(u8),
    /// This reader goes on.
    Read(u8),
    /// A fill or publish that was on its way arrives.
    Arrive(u8),
    /// What is pending is sent to the database.
    Send,
    /// A batch arrives at the database, and its answer at whoever sent it, if it still lives.
    Apply(u8),
    /// The owner crashes and starts again.
    Crash,
    /// The slot is evicted.
    Evict,
}

impl Model for Behind {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self)]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        if state.breach.is_some() {
            return;
        }
        steps.extend((0..state.writers.len() as u8).map(Step::Write));
        steps.extend((0..state.readers.len() as u8).map(Step::Read));
        steps.extend((0..state.sent.len() as u8).map(Step::Arrive));
        steps.extend((0..state.flights.len() as u8).map(Step::Apply));
        steps.push(Step::Send);
        if state.crashes_left > 0 {
            steps.push(Step::Crash);
        }
        if state.evictions_left > 0 && state.slot != Slot::Empty {
            steps.push(Step::Evict);
        }
    }

    fn next_state(&self, last: &State, step: Step) -> Option<State> {
        let mut state = last.clone();
        match step {
            Step::Write(writer) => self.write(&mut state, writer.into())?,
            Step::Read(reader) => self.read(&mut state, reader.into())?,
            Step::Arrive(index) => state.arrive(index.into()),
            Step::Send => self.send(&mut state)?,
            Step::Apply(index) => self.apply(&mut state, index.into()),
            Step::Crash => self.crash(&mut state),
            Step::Evict => {
                state.evictions_left -= 1;
                state.slot = Slot::Empty;
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        promise()
    }
}

impl Behind {
    fn write(&self, state: &mut State, index: usize) -> Option<()> {
        state.writers[index] = match state.writers[index] {
            Writer::Idle if state.is_locked() => return None,
            Writer::Idle => Writer::Locked,
            Writer::Locked if self.marks => {
                let token = state.token();
                state.slot = Slot::Mark(token);
                Writer::Marked(Some(token))
            }
            Writer::Locked => Writer::Marked(None),
            Writer::Marked(token) => {
                state.journal += 1;
                Writer::Kept(token, state.journal)
            }
            Writer::Kept(token, version) => {
                state.overlay = Some(version);
                state.acked = state.acked.max(version);
                // Without a mark the entry can only be dropped, some time.
                state.sent.push(token.map_or(Sent::Drop, |token| Sent::Store(token, version)));
                Writer::Done
            }
            Writer::Done => return None,
        };
        Some(())
    }

    fn read(&self, state: &mut State, index: usize) -> Option<()> {
        let reader = state.readers[index];
        state.readers[index] = match reader {
            Reader::Idle { reads_left: 0 } => return None,
            Reader::Idle { reads_left } => {
                let due = match self.promise {
                    Promise::Headline => state.acked,
                    Promise::Linear | Promise::Converge => state.acked.max(state.returned),
                };
                match state.slot {
                    Slot::Value(version) => state.answer(due, version, reads_left),
                    Slot::Empty => {
                        let token = state.token();
                        state.slot = Slot::Lease(token);
                        Reader::Looked { reads_left, due, token: Some(token) }
                    }
                    Slot::Lease(_) | Slot::Mark(_) => Reader::Looked { reads_left, due, token: None },
                }
            }
            Reader::Looked { reads_left, due, token } => {
                // The key's lock first, then the overlay, then the database.
                let token = token.filter(|_| !self.probes || !state.is_locked());
                match state.overlay.filter(|_| self.has_overlay) {
                    Some(version) => state.fill(due, version, reads_left, token),
                    None => Reader::Asking { reads_left, due, token },
                }
            }
            Reader::Asking { reads_left, due, token } => state.fill(due, state.row, reads_left, token),
        };
        Some(())
    }

    /// Sends what is pending; again only within the budget, while an earlier batch of this process is not answered.
    fn send(&self, state: &mut State) -> Option<()> {
        let to = state.overlay?;
        if state.flights.iter().any(|flight| flight.epoch == state.epoch) {
            state.retries_left = state.retries_left.checked_sub(1)?;
        }
        state.flights.push(Flight { epoch: state.epoch, from: state.known, to });
        Some(())
    }

    fn apply(&self, state: &mut State, index: usize) {
        let flight = state.flights.remove(index);
        let is_due = flight.epoch == state.claimed && flight.from == state.watermark;
        if is_due || !self.has_watermark {
            state.row = flight.to;
            state.watermark = flight.to;
        }
        if flight.epoch == state.epoch {
            state.known = if self.has_watermark { state.watermark } else { flight.to };
            state.overlay = state.overlay.filter(|version| *version > state.known);
        }
    }

    fn crash(&self, state: &mut State) {
        state.crashes_left -= 1;
        for writer in &mut state.writers {
            if *writer != Writer::Idle {
                *writer = Writer::Done;
            }
        }
        for reader in &mut state.readers {
            *reader = reader.given_up();
        }
        state.epoch += 1;
        state.claimed = state.epoch;
        state.known = state.watermark;
        let kept = Some(state.journal).filter(|newest| self.is_durable && *newest > state.watermark);
        state.overlay = kept;
    }
}

impl Told for Behind {
    fn is_breach(state: &State) -> bool {
        state.breach.is_some()
    }

    fn tell(&self, state: &State, step: &Step) -> String {
        tell::step(state, *step)
    }

    fn show(&self, state: &State) -> String {
        tell::state(state)
    }
}
