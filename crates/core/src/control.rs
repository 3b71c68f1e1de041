// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the daemons of a fleet agree on through the database: which cache servers may be read, under which
//! generations, and where each resource's reads go.
//!
//! The rows change by [`Transition`]s only, each of which names the state that it leaves, so of two daemons that
//! want the same one succeeds. The protocol around them is in `engine/fence.rs`.

use std::fmt;
use std::sync::Arc;

use crate::{BoxFuture, Mode, NodeName, Nonce, ResourceName, Result};

/// How far a fence of a cache server, or of a resource's entries, has come.
///
/// ```text
/// ACTIVE(g) ── StartFence ──▶ FENCING(g1) ── every reader lease on g has run out ──▶ FENCED(g1) ── Readmit ──▶ ACTIVE(g1)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FenceState {
    /// It may be read under its generation, and must be marked there.
    Active,
    /// Nobody begins to read it; whoever learned it as active less than a lease ago may still read the
    /// generation before, which is where it must be marked.
    Fencing,
    /// Nobody reads it, so nothing needs to be marked.
    Fenced,
}

impl FenceState {
    /// The number that stands for it in a row.
    pub const fn number(self) -> u8 {
        match self {
            Self::Active => 0,
            Self::Fencing => 1,
            Self::Fenced => 2,
        }
    }

    /// The state that a number stands for.
    pub const fn from_number(number: u64) -> Option<Self> {
        match number {
            0 => Some(Self::Active),
            1 => Some(Self::Fencing),
            2 => Some(Self::Fenced),
            _ => None,
        }
    }

    /// The state in the words of logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Fencing => "fencing",
            Self::Fenced => "fenced",
        }
    }
}

impl fmt::Display for FenceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which history of the database a row belongs to: another server, or another timeline, has another one, and may
/// have forgotten commits.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Lineage(Arc<str>);

impl Lineage {
    /// The longest name, in bytes; what is longer is cut.
    pub const LEN_MAX: usize = 190;

    /// The history of this name.
    pub fn new(name: &str) -> Self {
        let end =
            name.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= Self::LEN_MAX);
        Self(name[..end.last().unwrap_or(0)].into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A cache server, as the fleet sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRow {
    /// Its name.
    pub name: NodeName,
    /// The generation that it has, or will have when it is active again. Below 2^63.
    pub generation: u64,
    /// The generation before.
    pub previous: u64,
    /// How far a fence of it has come.
    pub state: FenceState,
    /// What the server must show to be the one that was enrolled.
    pub nonce: Nonce,
    /// The history under which the row is valid.
    pub lineage: Lineage,
    /// Which list of servers it belongs to.
    pub map_version: u32,
    /// Counts the row's transitions, so that of two answers the newer is known.
    pub revision: u64,
}

/// A resource, as the fleet sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceRow {
    /// Its name.
    pub name: ResourceName,
    /// Where its reads go.
    pub mode: Mode,
    /// The generation of its entries, or the one that they will have. Below 2^63.
    pub generation: u64,
    /// The generation before.
    pub previous: u64,
    /// [`FenceState::Active`], or [`FenceState::Fencing`] while its entries are being made unreachable.
    pub state: FenceState,
    /// Counts the row's transitions.
    pub revision: u64,
}

/// All rows, as they were at one moment between the call and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlView {
    /// The database's history.
    pub lineage: Lineage,
    /// How long a reader may rely on an answer that showed a server as active, in milliseconds.
    pub lease_ms: u64,
    /// By how many millionths two machines' clocks may differ in rate.
    pub rho_ppm: u32,
    /// The cache servers.
    pub nodes: Vec<NodeRow>,
    /// The resources.
    pub resources: Vec<ResourceRow>,
}

impl ControlView {
    /// The row of a cache server.
    pub fn node(&self, name: &NodeName) -> Option<&NodeRow> {
        self.nodes.iter().find(|row| row.name == *name)
    }

    /// The row of a resource.
    pub fn resource(&self, name: &ResourceName) -> Option<&ResourceRow> {
        self.resources.iter().find(|row| row.name == *name)
    }

    /// How long whoever has known of a fence must wait until no reader relies on the generation before:
    /// L(1+2ρ) + 50 ms. Both clocks may be wrong by ρ, each in the other direction; the 50 ms cover what coarse
    /// clocks round away.
    pub fn fence_wait_ms(&self) -> u64 {
        let drift = self.lease_ms.saturating_mul(2 * u64::from(self.rho_ppm)).div_ceil(1_000_000);
        self.lease_ms + drift + 50
    }
}

/// One change of one row, which takes place only if the row still is as the change expects it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transition {
    /// Adds the row of a cache server, active, if there is none.
    Enroll {
        /// The server.
        node: NodeName,
        /// Its first generation, by chance.
        generation: u64,
        /// What it shows.
        nonce: Nonce,
        /// The present history.
        lineage: Lineage,
    },
    /// ACTIVE(`generation`), or FENCED(`generation`), becomes FENCING(`next`).
    StartFence {
        /// The server.
        node: NodeName,
        /// Its present generation.
        generation: u64,
        /// A greater one, never used before.
        next: u64,
        /// The history from which on the row is valid.
        lineage: Lineage,
        /// Why, for people; at most [`Transition::WHY_LEN_MAX`] bytes.
        why: &'static str,
    },
    /// FENCING(`generation`) becomes FENCED. Only for who has known of it for [`ControlView::fence_wait_ms`].
    EndFence {
        /// The server.
        node: NodeName,
        /// Its present generation.
        generation: u64,
    },
    /// FENCED(`generation`) becomes ACTIVE.
    Readmit {
        /// The server.
        node: NodeName,
        /// Its present generation, under which nothing was ever read or stored.
        generation: u64,
        /// What it shows now.
        nonce: Nonce,
    },
    /// The server was restarted empty: ACTIVE(`generation`) stays, and another nonce is expected from now on.
    AdoptNonce {
        /// The server.
        node: NodeName,
        /// Its present generation.
        generation: u64,
        /// What it showed.
        before: Nonce,
        /// What it shows now.
        nonce: Nonce,
    },
    /// Adds the row of a resource, active, mode `cache`, if there is none.
    EnrollResource {
        /// The resource.
        resource: ResourceName,
        /// Its first generation, by chance.
        generation: u64,
    },
    /// ACTIVE(`generation`) becomes FENCING(`next`), for the entries of one resource on every server.
    StartBump {
        /// The resource.
        resource: ResourceName,
        /// Its present generation.
        generation: u64,
        /// A greater one, never used before.
        next: u64,
    },
    /// FENCING(`generation`) becomes ACTIVE. Only for who has known of it for [`ControlView::fence_wait_ms`].
    EndBump {
        /// The resource.
        resource: ResourceName,
        /// Its present generation.
        generation: u64,
    },
    /// Sends the reads of a resource elsewhere, in every daemon.
    SetMode {
        /// The resource.
        resource: ResourceName,
        /// Where to.
        mode: Mode,
    },
}

impl Transition {
    /// The longest reason for a fence, in bytes.
    pub const WHY_LEN_MAX: usize = 190;
}

/// Keeps the rows, in a place that serves one history of commits: the primary of the database, or another
/// linearizable store.
///
/// # Cancel safety
/// A dropped [`ControlStore::apply`] may still take place, once.
pub trait ControlStore: fmt::Debug + Send + Sync + 'static {
    /// Reads all rows, at a moment after the call: calls are joined only as long as their request was not sent.
    /// It runs on a connection of its own, outside any transaction, whose snapshot could be older.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unavailable`], [`crate::ErrorKind::Timeout`] or [`crate::ErrorKind::Denied`]; then nothing
    /// is known about the rows.
    fn view(&self) -> BoxFuture<'_, Result<ControlView>>;

    /// Changes a row, committed when this returns; `false` when the row is not as the transition expects it.
    ///
    /// # Errors
    /// As [`ControlStore::view`]. The change may have taken place; reading the rows tells.
    fn apply<'a>(&'a self, transition: &'a Transition) -> BoxFuture<'a, Result<bool>>;
}

#[cfg(test)]
mod tests {
    use super::{ControlView, FenceState, Lineage};

    #[test]
    fn a_state_is_read_back_from_its_number() {
        for state in [FenceState::Active, FenceState::Fencing, FenceState::Fenced] {
            assert_eq!(FenceState::from_number(state.number().into()), Some(state));
        }
        assert_eq!(FenceState::from_number(3), None);
    }

    #[test]
    fn the_wait_covers_two_clocks_that_run_apart() {
        let view = |lease_ms, rho_ppm| ControlView {
            lineage: Lineage::new("a"),
            lease_ms,
            rho_ppm,
            nodes: Vec::new(),
            resources: Vec::new(),
        };
        assert_eq!(view(2_000, 10_000).fence_wait_ms(), 2_090);
        assert_eq!(view(1, 1).fence_wait_ms(), 52, "rounded up");
    }

    #[test]
    fn a_long_lineage_is_cut_between_characters() {
        assert_eq!(Lineage::new(&"é".repeat(100)).as_str().len(), 190);
        assert_eq!(Lineage::new("short").as_str(), "short");
    }
}
