// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a configuration of the model is made of: what is implemented, and what one might do instead.

use crate::model::Promise;

/// One configuration: the rules, how much happens, and the promise that is checked.
#[derive(Clone, Copy, Debug)]
pub struct Fence {
    /// Whether FENCED comes only after every older reader lease has run out. Implemented: yes.
    pub waits_for_leases: bool,
    /// Whether a fence moves the node to a new generation. Implemented: yes.
    pub bumps: bool,
    /// When a writer learns the node's state.
    pub control: ControlRule,
    /// What a writer does that cannot mark.
    pub unmarkable: UnmarkableRule,
    /// Whether a node whose identity is not the one in the control row is unusable. Implemented: yes.
    pub checks_identity: bool,
    /// Whether what a look-up found counts only if the reader lease that it began under is still valid when the
    /// answer comes. Implemented: yes. Needed where a node may come back with old contents: a read may have begun
    /// under a generation that was fenced since, and the node may have been taken in again since.
    pub rechecks_lease: bool,
    /// What is checked.
    pub promise: Promise,
    /// How many reads each reader makes.
    pub reads: u8,
    /// How often a daemon loses the node.
    pub cuts: u8,
    /// How often the node is fenced.
    pub fences: u8,
    /// Evictions.
    pub evictions: u8,
    /// How often the node comes back with old contents.
    pub returns: u8,
    /// Whether states that differ only in which daemon is which count as one. A counterexample would then
    /// confuse the daemons' names.
    pub is_symmetric: bool,
}

/// When a writer learns the node's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlRule {
    /// It reads the control row once it holds the key's lock. Implemented.
    AfterLock,
    /// It reads the control row before.
    BeforeLock,
    /// It trusts what its daemon's last poll said.
    LastPoll,
}

/// What a writer does that cannot mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnmarkableRule {
    /// It rolls back and tries again; the node is fenced. Implemented.
    RollBack,
    /// It commits and sees to the invalidation later.
    Owe,
}

impl Fence {
    /// What is implemented; a partition, a fence, two reads each.
    pub const STRICT: Self = Self {
        waits_for_leases: true,
        bumps: true,
        control: ControlRule::AfterLock,
        unmarkable: UnmarkableRule::RollBack,
        checks_identity: true,
        rechecks_lease: true,
        promise: Promise::Linear,
        reads: 2,
        cuts: 1,
        fences: 1,
        evictions: 0,
        returns: 0,
        is_symmetric: false,
    };
}
