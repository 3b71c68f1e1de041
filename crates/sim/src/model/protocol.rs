// SPDX-License-Identifier: MIT OR Apache-2.0
//! One key: a slot with memcached's semantics, the row, writers, readers, and stores that are late.

mod cross_check;
mod outbox;
mod reader;
mod rules;
mod slot;
mod state;
mod tell;
mod writer;

use stateright::{Model, Property};

pub use cross_check::CrossCheck;
pub use outbox::{Outsider, OutsiderAt, Phase};
pub use reader::{Reader, ReaderAt};
pub use rules::{Faults, Feed, FillRule, Flights, ProbeRule, Protocol, Tokens, WriteRule};
pub use slot::{Content, Item, Sent, Token};
pub use state::{Breach, Holder, State};
pub use writer::{Writer, WriterAt};

use super::search::{Told, promise};

/// One step. `alt` chooses among tokens that may come again after a restart; 0 is one that nobody holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// A reader goes on.
    Read {
        /// Which.
        reader: u8,
        /// Which token it is given.
        alt: u8,
    },
    /// A reader that waits for another has waited long enough.
    GiveUp {
        /// Which.
        reader: u8,
    },
    /// A reader begins by joining another's flight.
    Join {
        /// Which.
        reader: u8,
        /// Whose.
        leader: u8,
    },
    /// A writer goes on.
    Write {
        /// Which.
        writer: u8,
        /// Which token it is given.
        alt: u8,
    },
    /// A store or release that was on its way arrives.
    Arrive {
        /// Its place in [`State::sent`].
        index: u8,
        /// Which token the slot gets.
        alt: u8,
    },
    /// A reader's look-up is not answered.
    LookUpLost {
        /// Whose.
        reader: u8,
        /// Whether the server carried it out.
        applied: bool,
    },
    /// A writer's cache command is not answered.
    CommandLost {
        /// Whose.
        writer: u8,
        /// Whether the server carried it out.
        applied: bool,
    },
    /// A writer dies; the database rolls back what is not committed.
    Crash {
        /// Which.
        writer: u8,
    },
    /// A writer does not learn what became of its commit.
    OutcomeLost {
        /// Which.
        writer: u8,
    },
    /// The database decides such a transaction.
    Decide {
        /// Whose.
        writer: u8,
        /// How.
        committed: bool,
    },
    /// Whatever is in the slot is evicted.
    Evict,
    /// A mark expires that nobody is at work under.
    Expire,
    /// memcached restarts, empty.
    Restart,
    /// Another program goes on.
    Outside {
        /// Which.
        outsider: u8,
    },
    /// The outbox's reader goes on.
    Feed,
    /// The outbox's reader dies and starts again.
    FeedCrash,
}

impl Model for Protocol {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let cold = State::new(self);
        let mut warm = cold.clone();
        warm.slot = Some(Item { token: Token::FIRST, content: Content::Value(0) });
        vec![cold, warm]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        if state.breach.is_some() {
            return;
        }
        let alts =
            if self.tokens == Tokens::Unbound && state.left.restarts < self.faults.restarts { 4 } else { 1 };
        for alt in 0..alts {
            steps.extend((0..self.readers as u8).map(|reader| Step::Read { reader, alt }));
            steps.extend((0..self.writers as u8).map(|writer| Step::Write { writer, alt }));
            steps.extend((0..state.sent.len() as u8).map(|index| Step::Arrive { index, alt }));
        }
        self.reader_choices(state, steps);
        self.fault_choices(state, steps);
        if self.feed != Feed::Off {
            steps.extend((0..state.outsiders.len() as u8).map(|outsider| Step::Outside { outsider }));
            steps.push(Step::Feed);
            if state.left.feed_crashes > 0 {
                steps.push(Step::FeedCrash);
            }
        }
    }

    fn next_state(&self, last: &State, step: Step) -> Option<State> {
        let mut state = last.clone();
        match step {
            Step::Read { reader, alt } => self.read(&mut state, reader.into(), alt)?,
            Step::GiveUp { reader } => state.readers[usize::from(reader)].at = ReaderAt::Past,
            Step::Join { reader, leader } => self.join(&mut state, reader.into(), leader),
            Step::Write { writer, alt } => self.write(&mut state, writer.into(), alt)?,
            Step::Arrive { index, alt } => self.arrive(&mut state, index.into(), alt)?,
            Step::LookUpLost { reader, applied } => self.lose_look_up(&mut state, reader.into(), applied)?,
            Step::CommandLost { writer, applied } => self.lose_command(&mut state, writer.into(), applied)?,
            Step::Crash { writer } => state.crash(writer.into()),
            Step::OutcomeLost { writer } => state.lose_outcome(writer.into()),
            Step::Decide { writer, committed } => state.decide(writer.into(), committed),
            Step::Evict => {
                state.left.evictions -= 1;
                state.slot = None;
            }
            Step::Expire => state.slot = None,
            Step::Restart => self.restart(&mut state),
            Step::Outside { outsider } => state.outside(outsider.into())?,
            Step::Feed => self.consume(&mut state)?,
            Step::FeedCrash => self.crash_feed(&mut state)?,
        }
        self.note_divergence(&mut state);
        state.canonicalize(self.is_symmetric && self.flights == Flights::None);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        promise()
    }
}

impl Protocol {
    fn reader_choices(&self, state: &State, steps: &mut Vec<Step>) {
        for (index, reader) in state.readers.iter().enumerate() {
            if reader.at == ReaderAt::Waiting {
                steps.push(Step::GiveUp { reader: index as u8 });
            }
            if self.flights != Flights::None && reader.at == ReaderAt::Idle && reader.left > 0 {
                let leaders = state.readers.iter().enumerate().filter(|(_, leader)| self.may_join(leader));
                steps.extend(
                    leaders.map(|(leader, _)| Step::Join { reader: index as u8, leader: leader as u8 }),
                );
            }
            if state.left.losses > 0 && reader.is_before_look_up(self) {
                let lost = |applied| Step::LookUpLost { reader: index as u8, applied };
                steps.extend([false, true].map(lost));
            }
        }
    }

    fn fault_choices(&self, state: &State, steps: &mut Vec<Step>) {
        for (index, writer) in state.writers.iter().enumerate() {
            let index = index as u8;
            if state.left.losses > 0 && self.is_before_command(writer) {
                steps.extend([false, true].map(|applied| Step::CommandLost { writer: index, applied }));
            }
            if state.left.crashes > 0 && writer.is_at_work() {
                steps.push(Step::Crash { writer: index });
            }
            if state.left.unknowns > 0 && writer.at == WriterAt::Marked {
                steps.push(Step::OutcomeLost { writer: index });
            }
            if writer.at == WriterAt::Undecided {
                steps.extend([false, true].map(|committed| Step::Decide { writer: index, committed }));
            }
        }
        if state.left.evictions > 0 && state.slot.is_some() {
            steps.push(Step::Evict);
        }
        if state.left.restarts > 0 {
            steps.push(Step::Restart);
        }
        // A mark that is lost while its writer is at work is the eviction.
        if let Some(Item { content: Content::Mark(owner), .. }) = state.slot
            && !state.writers[usize::from(owner)].is_at_work()
        {
            steps.push(Step::Expire);
        }
    }
}

impl Told for Protocol {
    fn is_breach(state: &State) -> bool {
        state.breach.is_some()
    }

    fn tell(&self, state: &State, step: &Step) -> String {
        tell::step(self, state, *step)
    }

    fn show(&self, state: &State) -> String {
        tell::state(state)
    }
}
