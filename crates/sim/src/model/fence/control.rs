// SPDX-License-Identifier: MIT OR Apache-2.0
//! The control row's transitions, and the daemons' polls of it.

use super::{Fence, NodeState, State, Step};

impl Fence {
    pub(super) fn control_choices(&self, state: &State) -> impl Iterator<Item = Step> {
        let next = match state.control.state {
            NodeState::Active => None,
            NodeState::Fencing => Some(Step::CompleteFence),
            NodeState::Fenced => Some(Step::Readmit),
        };
        let may_start = state.fences_left > 0 && state.control.state != NodeState::Fencing;
        next.into_iter().chain(may_start.then_some(Step::StartFence))
    }

    pub(super) fn start_fence(&self, state: &mut State) {
        state.fences_left -= 1;
        state.control.changes += 1;
        state.control.state = NodeState::Fencing;
        state.control.generation += u8::from(self.bumps);
    }

    pub(super) fn complete_fence(&self, state: &mut State) -> Option<()> {
        let changes = state.control.changes;
        let is_older = |lease: Option<u8>| lease.is_some_and(|lease| lease < changes);
        if self.waits_for_leases && state.daemons.iter().any(|daemon| is_older(daemon.lease)) {
            return None;
        }
        state.control.changes += 1;
        state.control.state = NodeState::Fenced;
        Some(())
    }

    /// Whether this daemon may use the node as it is.
    pub(super) fn reaches(&self, state: &State, daemon: usize) -> bool {
        state.daemons[daemon].is_connected && !(self.checks_identity && state.is_stranger)
    }
}

impl State {
    /// The node is taken in again, whatever is in it, and its identity is written into the row.
    pub(super) fn readmit(&mut self) {
        self.control.changes += 1;
        self.control.state = NodeState::Active;
        self.is_stranger = false;
    }

    pub(super) fn renew(&mut self, daemon: usize) {
        let control = self.control;
        let daemon = &mut self.daemons[daemon];
        daemon.lease = Some(control.changes);
        daemon.generation = control.generation;
        daemon.is_active = control.state == NodeState::Active;
    }

    pub(super) fn end_lease(&mut self, daemon: usize) {
        let daemon = &mut self.daemons[daemon];
        (daemon.lease, daemon.generation, daemon.is_active) = (None, 0, false);
    }
}
