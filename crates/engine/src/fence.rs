// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fencing: how writes go on, and nobody reads stale, when a daemon cannot mark a key on a cache server.
//!
//! A daemon that cannot reach a server does not know who else can. So it makes sure that nobody reads the server
//! any more, and then commits without a mark. The database's control tables say who may read what; each daemon
//! polls them, and each answer is a *reader's lease* for L (consistency.md, section 6):
//!
//! ```text
//!             StartFence            all leases on g have run out        good probes for H
//! ACTIVE(g) ──────────────▶ FENCING(g1) ──────────────▶ FENCED(g1) ──────────────▶ ACTIVE(g1)
//!   readers   hit g           new answers: bypass         bypass                     hit g1
//!                             old leases: hit g, up to L
//!   writers   mark under g    mark under g, or wait       need no mark               mark under g1
//! ```
//!
//! Why nobody reads stale:
//! 1. A reader checks its lease once, at its beginning. A lease is good until `t_send + L` of an answer that
//!    showed ACTIVE(g).
//! 2. StartFence commits. Every answer asked for later shows FENCING, so every lease on g ends within L of it.
//! 3. Whoever ends the fence has known of it for L(1+2ρ) + 50 ms, counted from the *response* that showed it.
//! 4. A writer reads the rows *after* its row locks were granted, on another connection, and marks where readers may
//!    be. A server that is readmitted meanwhile cannot be filled with the old row, because the writer holds its lock.
//! 5. Generations never repeat, so what a server kept over a fence is never found again.
//!
//! | file | what it is |
//! |---|---|
//! | `known` | what the answers showed, the reader's lease, where a mark must be |
//! | `poll` | the poller: asks, and makes the transitions that are due |
//! | `readmit` | when a server has been well for long enough, and when a new nonce is a plain restart |

mod known;
mod poll;
mod readmit;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use throughline_core::{
    Clock, ControlStore, ControlView, Error, ErrorKind, FenceState, Generation, Mode, NodeId, NodeName,
    Nodes, ResourceName, Result, Rng, Tasks, Tick, Transition,
};
use tokio::sync::{Notify, watch};

use crate::mode::ModeCell;
use crate::read::Bypass;
use crate::stats::FenceStats;
use known::Known;
use readmit::Sightings;

pub(crate) use known::{Place, Promise};

/// What a [`Fence`] is made of.
#[derive(Debug)]
pub struct FenceParts {
    /// The rows that the fleet shares.
    pub control: Arc<dyn ControlStore>,
    /// The cache's servers.
    pub nodes: Arc<dyn Nodes>,
    /// The resources that have entries on them, in this daemon.
    pub resources: Vec<ResourceName>,
    /// A clock that goes on while the machine is suspended: leases are judged by it.
    pub clock: Arc<dyn Clock>,
    /// Chance, for generations.
    pub rng: Arc<Rng>,
    /// Background work.
    pub tasks: Arc<dyn Tasks>,
    /// The times.
    pub times: FenceTimes,
}

/// How long the parts of a fence take. The length of a lease is not among them: it is the fleet's, in the database.
#[derive(Clone, Copy, Debug)]
pub struct FenceTimes {
    /// How often each server is asked who it is, in milliseconds.
    pub probe_every_ms: u64,
    /// H: how long a fenced server must answer well before it is readmitted, in milliseconds.
    pub readmit_ms_min: u64,
    /// What H doubles up to while the server is fenced again and again, in milliseconds.
    pub readmit_ms_max: u64,
    /// How long a write may wait for a fence, retries included, in milliseconds.
    pub write_ms_max: u64,
}

impl Default for FenceTimes {
    fn default() -> Self {
        Self { probe_every_ms: 1_000, readmit_ms_min: 5_000, readmit_ms_max: 300_000, write_ms_max: 10_000 }
    }
}

/// The largest random step between two generations of a row, so that a restored backup repeats none.
const STEP_MAX: u64 = 1 << 31;

/// How long one question to the control tables may take before it counts as unanswered.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// The state of one cache server, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStanding {
    /// Its name.
    pub name: NodeName,
    /// How far a fence has come; `None` while it is not enrolled.
    pub state: Option<FenceState>,
    /// Whether this daemon may read it now.
    pub is_readable: bool,
}

/// The servers of one cache, as the fleet agrees on them through one database.
#[derive(Debug)]
pub struct Fence {
    parts: FenceParts,
    /// Replaced as a whole, so that a reader takes no lock.
    known: ArcSwap<Known>,
    /// Held while an answer is taken in; never over an `.await`.
    learning: Mutex<HashMap<ResourceName, Arc<ModeCell>>>,
    sightings: Sightings,
    /// Told of each answer that was taken in.
    learned: watch::Sender<u64>,
    /// Makes the poller ask at once.
    hurry: Notify,
    stats: FenceStats,
}

/// Why a key could not be marked, and what must happen before the write is tried again.
#[derive(Debug)]
pub(crate) struct Blocked {
    pub(crate) fence: Arc<Fence>,
    pub(crate) node: NodeId,
    /// The generation in the row that the writer read under its locks.
    pub(crate) generation: u64,
    /// Its state then.
    pub(crate) state: FenceState,
    /// What was wrong.
    pub(crate) error: Error,
}

impl Fence {
    /// Reads the rows, enrolls the servers that answer and the resources, and starts to poll. When this returns,
    /// readers have their first leases, as far as the servers were there.
    ///
    /// # Errors
    /// Those of [`ControlStore::view`].
    pub async fn open(parts: FenceParts) -> Result<Arc<Self>> {
        let count = parts.nodes.names().len();
        let fence = Arc::new(Self {
            known: ArcSwap::from_pointee(Known::new(count)),
            learning: Mutex::default(),
            sightings: Sightings::new(count, parts.times),
            learned: watch::Sender::new(0),
            hurry: Notify::new(),
            stats: FenceStats::default(),
            parts,
        });
        fence.read().await?;
        for node in fence.node_ids() {
            fence.probe(node).await;
        }
        poll::make_due_transitions(&fence).await;
        fence.read().await?;
        poll::start(&fence);
        Ok(fence)
    }

    /// The counters.
    pub fn stats(&self) -> &FenceStats {
        &self.stats
    }

    /// How each server stands.
    pub fn standings(&self) -> Vec<NodeStanding> {
        let (known, now) = (self.known.load(), self.parts.clock.now());
        let names = self.parts.nodes.names().iter();
        let standing = |(known, name): (&known::KnownNode, &NodeName)| NodeStanding {
            name: name.clone(),
            state: known.row.as_ref().map(|row| row.state),
            is_readable: known.has_lease(now),
        };
        known.nodes.iter().zip(names).map(standing).collect()
    }

    fn node_ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.parts.nodes.names().len()).map(|place| NodeId(u16::try_from(place).unwrap_or(u16::MAX)))
    }

    pub(crate) fn name(&self, node: NodeId) -> &NodeName {
        &self.parts.nodes.names()[usize::from(node.0)]
    }

    /// Ties a resource's mode to the fleet's.
    pub(crate) fn enlist(&self, resource: &ResourceName, mode: &Arc<ModeCell>) {
        let mut modes = self.learning.lock();
        if let Some(known) = self.known.load().resources.get(resource) {
            mode.set(known.row.mode);
        }
        modes.insert(resource.clone(), mode.clone());
    }

    /// The generation under which a reader that begins now may read, or why it may not. No I/O, no lock.
    pub(crate) fn readable(
        &self,
        node: NodeId,
        resource: &ResourceName,
        promise: Promise,
    ) -> std::result::Result<Generation, Bypass> {
        // The clock is read after the answers were loaded, so a lease is never judged by an earlier moment.
        let known = self.known.load();
        known.readable(node, resource, promise, self.parts.clock.now())
    }

    /// Where a mark must be, as far as is known without asking.
    pub(crate) fn guess(&self, node: NodeId, resource: &ResourceName) -> Place {
        self.known.load().place(node, resource)
    }

    /// Asks for the rows as they are now, and takes the answer in.
    ///
    /// # Errors
    /// Those of [`ControlStore::view`], and `Timeout`.
    pub(crate) async fn read(&self) -> Result<Arc<ControlView>> {
        let sent = self.parts.clock.now();
        let view = tokio::time::timeout(ANSWER_LIMIT, self.parts.control.view()).await;
        let view = view.unwrap_or_else(|_| Err(late()));
        self.stats.views.add(1);
        match view {
            Ok(view) => {
                self.learn(&view, sent);
                Ok(Arc::new(view))
            }
            Err(error) => {
                self.stats.view_errors.add(1);
                Err(error)
            }
        }
    }

    fn learn(&self, view: &ControlView, sent: Tick) {
        let modes = self.learning.lock();
        let received = self.parts.clock.now();
        let before = self.known.load_full();
        let mut known = Known::clone(&before);
        known.learn(self.parts.nodes.names(), view, sent, received);
        for (node, (old, new)) in self.node_ids().zip(before.nodes.iter().zip(&known.nodes)) {
            self.note(node, old, new, received);
        }
        for (resource, mode) in modes.iter() {
            if let Some(known) = known.resources.get(resource) {
                mode.set(known.row.mode);
            }
        }
        self.known.store(Arc::new(known));
        self.learned.send_modify(|count| *count += 1);
    }

    /// Draws the consequences of a changed row, before readers may rely on it.
    fn note(&self, node: NodeId, old: &known::KnownNode, new: &known::KnownNode, now: Tick) {
        let (old, Some(new)) = (&old.row, &new.row) else { return };
        if old.as_ref().map(|old| old.nonce) != Some(new.nonce) {
            // Connections to a server that shows another number are closed and not used.
            self.parts.nodes.expect(node, Some(new.nonce));
        }
        let state = old.as_ref().map(|old| (old.state, old.generation));
        if state != Some((new.state, new.generation)) {
            self.sightings.moved(node, new.state, now);
            tracing::info!(node = %new.name, state = %new.state, generation = new.generation, "cache server");
        }
    }

    /// A greater generation than `present`, by chance, so that no daemon and no restored backup makes it again.
    fn next_generation(&self, present: u64) -> u64 {
        present + 1 + self.parts.rng.below(STEP_MAX)
    }

    /// Applies a transition; an answer that got lost is found out by the next question.
    async fn apply(&self, transition: &Transition) -> Result<bool> {
        tokio::time::timeout(ANSWER_LIMIT, self.parts.control.apply(transition))
            .await
            .unwrap_or_else(|_| Err(late()))
    }

    /// Starts to fence a server whose row showed `generation`; `false` when the row has changed meanwhile.
    async fn start_fence(&self, node: NodeId, generation: u64, why: &'static str) -> Result<bool> {
        let Some(lineage) = self.known.load().lineage.clone() else { return Ok(false) };
        let next = self.next_generation(generation);
        let transition =
            Transition::StartFence { node: self.name(node).clone(), generation, next, lineage, why };
        let started = self.apply(&transition).await?;
        if started {
            self.stats.fences_started.add(1);
            tracing::warn!(node = %self.name(node), why, "cache server is being fenced");
        }
        Ok(started)
    }

    /// Sees to it that the write which met `blocked` can be tried again: starts the fence if nobody has, and waits
    /// until the server may be marked or need not be.
    ///
    /// # Errors
    /// [`ErrorKind::Unmarkable`] at the `deadline`; those of [`ControlStore::apply`].
    pub(crate) async fn unblock(&self, blocked: &Blocked, deadline: Tick) -> Result<()> {
        self.stats.writes_waited.add(1);
        if blocked.state != FenceState::Fencing {
            self.start_fence(blocked.node, blocked.generation, "a daemon could not mark a key on it").await?;
        }
        self.read().await?;
        self.hurry.notify_one();
        let node = usize::from(blocked.node.0);
        self.wait_until(deadline, |known| match &known.nodes[node].row {
            Some(row) if row.state == FenceState::Active => row.generation != blocked.generation,
            Some(row) => {
                row.state == FenceState::Fenced
                    && (blocked.state != FenceState::Fenced || row.generation != blocked.generation)
            }
            None => true,
        })
        .await
        .map_err(|_| {
            let detail = format!(
                "cache server `{}` did not confirm, and fencing it took too long",
                self.name(blocked.node)
            );
            Error::new(ErrorKind::Unmarkable, "mark a key", detail).with_cause(blocked.error.clone())
        })
    }

    /// Makes every entry of a resource from before this call unreachable, for every daemon; returns when that is so.
    ///
    /// # Errors
    /// Those of [`ControlStore::apply`]; [`ErrorKind::Timeout`] when it is under way and could not be completed in time.
    pub(crate) async fn bump(&self, resource: &ResourceName) -> Result<()> {
        let deadline = self.parts.clock.now().after_ms(self.parts.times.write_ms_max);
        let view = self.read().await?;
        let Some(row) = view.resource(resource) else {
            // Nobody ever read under it.
            return Ok(());
        };
        if row.state == FenceState::Active {
            let next = self.next_generation(row.generation);
            let bump = Transition::StartBump { resource: resource.clone(), generation: row.generation, next };
            self.apply(&bump).await?;
            self.read().await?;
        }
        // A bump that somebody else began is as good: what is stored until it ends lies under the old generation.
        self.hurry.notify_one();
        let (before, was_active) = (row.generation, row.state == FenceState::Active);
        self.wait_until(deadline, |known| {
            known.resources.get(resource).is_none_or(|known| {
                known.row.state == FenceState::Active && (known.row.generation != before || !was_active)
            })
        })
        .await
    }

    /// Makes every entry on a server unreachable, for every daemon; returns when that is so. The server is used again
    /// when it has been well for a while, as after every fence.
    ///
    /// # Errors
    /// Those of [`ControlStore::apply`]; [`ErrorKind::Timeout`] when it is under way and could not be completed in time.
    pub async fn empty(&self, node: NodeId, why: &'static str) -> Result<()> {
        let deadline = self.deadline();
        let view = self.read().await?;
        let Some(row) = view.node(self.name(node)) else {
            // Nobody ever read under it.
            return Ok(());
        };
        let before = row.generation;
        if row.state == FenceState::Active {
            self.start_fence(node, before, why).await?;
            self.read().await?;
        }
        self.hurry.notify_one();
        // A fence that somebody else began is as good: nothing is stored on the server before it ends.
        let was_active = row.state == FenceState::Active;
        self.wait_until(deadline, |known| {
            known.nodes[usize::from(node.0)].row.as_ref().is_none_or(|row| {
                row.state != FenceState::Fencing && (row.generation != before || !was_active)
            })
        })
        .await
    }

    /// The server of this name, in this fence.
    pub fn node_named(&self, name: &str) -> Option<NodeId> {
        self.node_ids().find(|node| self.name(*node).as_str() == name)
    }

    /// Sends the reads of a resource elsewhere, in every daemon: here when this returns, elsewhere within a poll.
    ///
    /// # Errors
    /// Those of [`ControlStore::apply`].
    pub(crate) async fn set_mode(&self, resource: &ResourceName, mode: Mode) -> Result<()> {
        self.apply(&Transition::SetMode { resource: resource.clone(), mode }).await?;
        self.read().await.map(drop)
    }

    /// Waits until what is known fulfils a condition.
    async fn wait_until(&self, deadline: Tick, is_so: impl Fn(&Known) -> bool) -> Result<()> {
        let mut learned = self.learned.subscribe();
        loop {
            learned.mark_unchanged();
            if is_so(&self.known.load()) {
                return Ok(());
            }
            let left_ms = deadline.as_ms().saturating_sub(self.parts.clock.now().as_ms());
            if left_ms == 0 {
                return Err(late());
            }
            // Woken by an answer, or at the deadline; the sender lives as long as this.
            let _ = tokio::time::timeout(Duration::from_millis(left_ms), learned.changed()).await;
        }
    }

    /// When a write that begins now is given up.
    pub(crate) fn deadline(&self) -> Tick {
        self.parts.clock.now().after_ms(self.parts.times.write_ms_max)
    }

    /// Asks a server who it is.
    async fn probe(&self, node: NodeId) {
        let shown = self.parts.nodes.identify(node).await;
        self.sightings.saw(node, shown.ok(), self.parts.clock.now());
    }
}

fn late() -> Error {
    Error::new(ErrorKind::Timeout, "read the control tables", "no answer in time")
}
