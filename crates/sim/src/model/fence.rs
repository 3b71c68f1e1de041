// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two daemons, each with a reader and a writer, one key, and a cache node that one of them may not reach.
//!
//! The lengths of leases are not modelled: the wait of a fence ends when no older lease is left, which is
//! what the length of the wait is for.

mod control;
mod reader;
mod rules;
mod state;
mod tell;
mod writer;

use stateright::{Model, Property};

pub use reader::{Reader, ReaderAt};
pub use rules::{ControlRule, Fence, UnmarkableRule};
pub use state::{Breach, Content, Control, Daemon, Item, NodeState, Sent, State};
pub use writer::{Writer, WriterAt};

use super::search::{Told, promise};

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// This daemon's reader goes on.
    Read(u8),
    /// This daemon's writer goes on.
    Write(u8),
    /// A store that was on its way arrives.
    Arrive(u8),
    /// Somebody begins to fence the node.
    StartFence,
    /// The wait is over.
    CompleteFence,
    /// The node is taken in again.
    Readmit,
    /// This daemon polls the control row.
    Renew(u8),
    /// This daemon's reader lease runs out.
    LeaseEnds(u8),
    /// This daemon loses the node.
    Cut(u8),
    /// This daemon reaches the node again.
    Heal(u8),
    /// The item of this generation is evicted.
    Evict(u8),
    /// The node's contents of this moment are the ones that may come back.
    Save,
    /// The node restarts with the contents it once had.
    ComeBack,
    /// An invalidation that was put off is carried out.
    Deliver,
}

impl Model for Fence {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self)]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        if state.breach.is_some() {
            return;
        }
        for (index, daemon) in (0_u8..).zip(&state.daemons) {
            steps.extend([Step::Write(index), Step::Read(index)]);
            if daemon.lease != Some(state.control.changes) {
                steps.push(Step::Renew(index));
            }
            if daemon.lease.is_some() {
                steps.push(Step::LeaseEnds(index));
            }
            match daemon.is_connected {
                true if state.cuts_left > 0 => steps.push(Step::Cut(index)),
                true => {}
                false => steps.push(Step::Heal(index)),
            }
        }
        steps.extend((0..state.sent.len() as u8).map(Step::Arrive));
        steps.extend(self.control_choices(state));
        if state.evictions_left > 0 {
            let filled = (0_u8..).zip(&state.slots).filter(|(_, item)| item.is_some());
            steps.extend(filled.map(|(generation, _)| Step::Evict(generation)));
        }
        if state.returns_left > 0 {
            steps.push(if state.saved.is_none() { Step::Save } else { Step::ComeBack });
        }
        if !state.owed.is_empty() {
            steps.push(Step::Deliver);
        }
    }

    fn next_state(&self, last: &State, step: Step) -> Option<State> {
        let mut state = last.clone();
        match step {
            Step::Read(daemon) => self.read(&mut state, daemon.into())?,
            Step::Write(daemon) => self.write(&mut state, daemon.into())?,
            Step::Arrive(index) => state.arrive(index.into())?,
            Step::StartFence => self.start_fence(&mut state),
            Step::CompleteFence => self.complete_fence(&mut state)?,
            Step::Readmit => state.readmit(),
            Step::Renew(daemon) => state.renew(daemon.into()),
            Step::LeaseEnds(daemon) => state.end_lease(daemon.into()),
            Step::Cut(daemon) => {
                state.cuts_left -= 1;
                state.daemons[usize::from(daemon)].is_connected = false;
            }
            Step::Heal(daemon) => state.daemons[usize::from(daemon)].is_connected = true,
            Step::Evict(generation) => {
                state.evictions_left -= 1;
                state.slots[usize::from(generation)] = None;
            }
            Step::Save => state.saved = Some(state.slots.map(|item| item.map(|item| item.content))),
            Step::ComeBack => state.come_back()?,
            Step::Deliver => {
                let generation = state.owed.remove(0);
                state.slots[usize::from(generation)] = None;
            }
        }
        state.canonicalize(self.is_symmetric);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        promise()
    }
}

impl Told for Fence {
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
