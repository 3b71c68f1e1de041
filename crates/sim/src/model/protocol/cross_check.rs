// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether the monitor is right: it keeps one number, stateright's own tester searches for an order.
//!
//! In every reachable state, a content monitor must mean a history that the tester can explain.

use std::thread::available_parallelism;

use stateright::semantics::register::{Register, RegisterOp, RegisterRet};
use stateright::semantics::{ConsistencyTester, LinearizabilityTester};
use stateright::{Checker, Model, Property};

use super::{Content, Protocol, ReaderAt, State, Step, WriterAt};

const IMPLIES: &str = "a content monitor means a history that can be explained";
const CONVICTS: &str = "the tester finds a history that cannot be explained";
/// What the register holds before every write.
const FIRST: u8 = u8::MAX;
/// The tester's numbers of readers begin here, those of writers at 0.
const READERS: u8 = 100;

/// What a comparison came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrossCheck {
    /// Whether the monitor was right in every state.
    pub is_right: bool,
    /// Whether the tester found a history without an order.
    pub is_convicted: bool,
    /// How many states were compared.
    pub state_count: usize,
}

impl CrossCheck {
    /// Compares the two in every reachable state of `protocol`, which must check [`crate::model::Promise::Linear`].
    pub fn run(protocol: Protocol) -> Self {
        let thread_count = available_parallelism().map_or(1, usize::from);
        let checker = Both(protocol).checker().threads(thread_count).spawn_bfs().join();
        let found = checker.discoveries();
        Self {
            is_right: !found.contains_key(IMPLIES),
            is_convicted: found.contains_key(CONVICTS),
            state_count: checker.unique_state_count(),
        }
    }
}

/// The model with the tester beside it.
struct Both(Protocol);

#[derive(Clone, Debug, PartialEq, Hash)]
struct Seen {
    state: State,
    tester: LinearizabilityTester<u8, Register<u8>>,
    /// Who wrote each version, from version 1 on.
    authors: Vec<u8>,
}

impl Seen {
    fn note_writes(&mut self, after: &State) {
        for (index, (before, after)) in self.state.writers.iter().zip(&after.writers).enumerate() {
            let id = index as u8;
            if before.at == WriterAt::Idle && after.at != WriterAt::Idle {
                let _ = self.tester.on_invoke(id, RegisterOp::Write(id));
            }
            if before.version == 0 && after.version > 0 {
                self.authors.push(id);
            } else if before.at == WriterAt::Marked && after.at == WriterAt::Done {
                // Commit and acknowledgement in one step.
                self.authors.push(id);
            }
            if before.at != WriterAt::Done && after.at == WriterAt::Done {
                let _ = self.tester.on_return(id, RegisterRet::WriteOk);
            }
        }
    }

    fn note_reads(&mut self, after: &State) {
        for (index, (before, reader)) in self.state.readers.iter().zip(&after.readers).enumerate() {
            let id = READERS + index as u8;
            let has_returned = reader.left < before.left;
            if before.at == ReaderAt::Idle && (reader.at != ReaderAt::Idle || has_returned) {
                let _ = self.tester.on_invoke(id, RegisterOp::Read);
            }
            if has_returned {
                let version = returned(&self.state, before.at);
                let value = version.checked_sub(1).map_or(FIRST, |place| self.authors[usize::from(place)]);
                let _ = self.tester.on_return(id, RegisterRet::ReadOk(value));
            }
        }
    }
}

/// The version that a read returns with its next step.
fn returned(state: &State, at: ReaderAt) -> u8 {
    match (at, state.slot.map(|item| item.content)) {
        (ReaderAt::Idle | ReaderAt::Boarded | ReaderAt::Waiting, Some(Content::Value(version))) => version,
        (ReaderAt::Unprobed(version) | ReaderAt::Landed(version), _) => version,
        _ => state.row,
    }
}

impl Model for Both {
    type State = Seen;
    type Action = Step;

    fn init_states(&self) -> Vec<Seen> {
        let seen =
            |state| Seen { state, tester: LinearizabilityTester::new(Register(FIRST)), authors: Vec::new() };
        self.0.init_states().into_iter().map(seen).collect()
    }

    fn actions(&self, seen: &Seen, steps: &mut Vec<Step>) {
        self.0.actions(&seen.state, steps);
    }

    fn next_state(&self, last: &Seen, step: Step) -> Option<Seen> {
        let after = self.0.next_state(&last.state, step)?;
        let mut seen = last.clone();
        seen.note_writes(&after);
        seen.note_reads(&after);
        seen.state = after;
        Some(seen)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(IMPLIES, |_, seen: &Seen| {
                seen.state.breach.is_some() || seen.tester.is_consistent()
            }),
            Property::sometimes(CONVICTS, |_, seen: &Seen| !seen.tester.is_consistent()),
        ]
    }
}
