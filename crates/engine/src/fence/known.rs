// SPDX-License-Identifier: MIT OR Apache-2.0
//! What this daemon knows of the control tables, and until when it may rely on it.

use std::collections::HashMap;

use throughline_core::{
    ControlView, FenceState, Generation, Level, Lineage, NodeId, NodeName, NodeRow, Nonce, ResourceName,
    ResourceRow, Tick,
};

use crate::policy::Policy;
use crate::read::Bypass;

/// Where the mark of a writer must be, so that every reader who may still answer from the cache meets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Under this generation, on the server that shows this number.
    Under(Generation, Nonce),
    /// Nowhere: nobody reads the key's entry.
    Nowhere,
}

impl Place {
    /// ACTIVE(g): under g. FENCING: under the generation before, which readers with old leases still read.
    /// FENCED, or not enrolled: nowhere. The same for the resource's part.
    pub(crate) fn of(node: Option<&NodeRow>, resource: Option<&ResourceRow>) -> Self {
        let (Some(node), Some(resource)) = (node, resource) else { return Self::Nowhere };
        let node_generation = match node.state {
            FenceState::Active => node.generation,
            FenceState::Fencing => node.previous,
            FenceState::Fenced => return Self::Nowhere,
        };
        let resource_generation = match resource.state {
            FenceState::Active => resource.generation,
            FenceState::Fencing | FenceState::Fenced => resource.previous,
        };
        Self::Under(Generation { node: node_generation, resource: resource_generation }, node.nonce)
    }
}

/// Everything that is known, by the newest answers.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// The database's history, as the newest answer showed it.
    pub(crate) lineage: Option<Lineage>,
    /// L. Only ever from an answer.
    pub(crate) lease_ms: u64,
    /// How long a fence must last; the longest that any answer asked for, since others may still hold leases by it.
    pub(crate) wait_ms: u64,
    /// The servers, by their places.
    pub(crate) nodes: Vec<KnownNode>,
    pub(crate) resources: HashMap<ResourceName, KnownResource>,
}

/// A cache server.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownNode {
    /// Its newest row; `None` while it is not enrolled.
    pub(crate) row: Option<NodeRow>,
    /// The reader's lease: `t_send + L` of the newest answer that showed the row active and valid. It is for the
    /// generation in `row` only.
    valid_until: Option<Tick>,
    /// When the answer came that first showed this generation as being fenced.
    pub(crate) fencing_since: Option<Tick>,
    /// When the answer came that first showed the row as it is.
    pub(crate) learned_at: Tick,
    /// The rows became older than they were, as after restoring a backup: a fence is due.
    pub(crate) went_back: bool,
}

/// A resource.
#[derive(Clone, Debug)]
pub(crate) struct KnownResource {
    pub(crate) row: ResourceRow,
    pub(crate) fencing_since: Option<Tick>,
    learned_at: Tick,
    pub(crate) went_back: bool,
}

/// What a resource's readers may rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// On a lease, or on one that ended so many milliseconds ago at most: no answer is older than that.
    Lease {
        /// See [`crate::Policy::control_lost_ms`].
        ended_ms_max: u64,
    },
    /// On what was known, however long ago.
    Known,
}

impl Promise {
    pub(crate) fn of(policy: &Policy) -> Self {
        match policy.level {
            Level::Strict => Self::Lease { ended_ms_max: policy.control_lost_ms },
            Level::Bounded => Self::Known,
        }
    }

    fn is_kept(self, node: &KnownNode, now: Tick) -> bool {
        match self {
            Self::Lease { ended_ms_max } => node.had_lease(now, ended_ms_max),
            Self::Known => true,
        }
    }
}

/// What an answer's row means beside what was known.
enum News {
    /// It is the newest.
    Newest,
    /// It is an older answer that came late.
    Late,
    /// It was asked for after something newer had come, and shows something older.
    WentBack,
}

/// Answers may overtake each other, so a row is judged by its revision. An older revision in an answer whose
/// request left after a newer one had come cannot be explained by that: the database forgot.
fn judge(revision: u64, known: u64, sent: Tick, learned_at: Tick) -> News {
    if revision >= known {
        News::Newest
    } else if sent > learned_at {
        News::WentBack
    } else {
        News::Late
    }
}

impl Known {
    pub(crate) fn new(node_count: usize) -> Self {
        Self {
            lineage: None,
            lease_ms: 0,
            wait_ms: 0,
            nodes: vec![KnownNode::default(); node_count],
            resources: HashMap::new(),
        }
    }

    /// Takes an answer in, whose request left at `sent` and which came at `received`.
    pub(crate) fn learn(&mut self, names: &[NodeName], view: &ControlView, sent: Tick, received: Tick) {
        debug_assert!(sent <= received, "an answer follows its request");
        self.lineage = Some(view.lineage.clone());
        self.lease_ms = view.lease_ms;
        self.wait_ms = self.wait_ms.max(view.fence_wait_ms());
        for (known, name) in self.nodes.iter_mut().zip(names) {
            known.learn(view.node(name), view, sent, received);
        }
        for row in &view.resources {
            match self.resources.get_mut(&row.name) {
                Some(known) => known.learn(row, sent, received),
                None => {
                    let fencing_since = (row.state == FenceState::Fencing).then_some(received);
                    let known = KnownResource {
                        row: row.clone(),
                        fencing_since,
                        learned_at: received,
                        went_back: false,
                    };
                    self.resources.insert(row.name.clone(), known);
                }
            }
        }
    }

    /// The generation under which a reader may begin to read now, or why it may not. This is the one check of
    /// the reader's lease: no I/O.
    pub(crate) fn readable(
        &self,
        node: NodeId,
        resource: &ResourceName,
        promise: Promise,
        now: Tick,
    ) -> Result<Generation, Bypass> {
        let lease = self.nodes.get(usize::from(node.0)).ok_or(Bypass::Fenced)?;
        let (Some(node), Some(resource)) = (&lease.row, self.resources.get(resource)) else {
            return Err(Bypass::Fenced);
        };
        if node.state != FenceState::Active || resource.row.state != FenceState::Active {
            return Err(Bypass::Fenced);
        }
        if !promise.is_kept(lease, now) {
            return Err(Bypass::ControlLost);
        }
        Ok(Generation { node: node.generation, resource: resource.row.generation })
    }

    /// Where a mark must be, as far as is known here: a guess until the rows were read under the row's lock.
    pub(crate) fn place(&self, node: NodeId, resource: &ResourceName) -> Place {
        let node = self.nodes.get(usize::from(node.0)).and_then(|known| known.row.as_ref());
        Place::of(node, self.resources.get(resource).map(|known| &known.row))
    }
}

impl KnownNode {
    /// Whether a strict reader may rely on the row now.
    pub(super) fn has_lease(&self, now: Tick) -> bool {
        self.had_lease(now, 0)
    }

    /// Whether a strict reader might rely on the row `age_ms` ago.
    fn had_lease(&self, now: Tick, age_ms: u64) -> bool {
        self.valid_until.is_some_and(|until| now < until.after_ms(age_ms))
    }

    fn learn(&mut self, row: Option<&NodeRow>, view: &ControlView, sent: Tick, received: Tick) {
        let Some(row) = row else {
            if sent > self.learned_at {
                // Nobody removes rows while the fleet runs; if somebody did, nothing is relied on.
                *self = Self { learned_at: received, ..Self::default() };
            }
            return;
        };
        let known = self.row.as_ref().map_or(0, |known| known.revision);
        match judge(row.revision, known, sent, self.learned_at) {
            News::Late => return,
            News::Newest => {}
            News::WentBack => self.went_back = true,
        }
        let is_same = self.row.as_ref() == Some(row);
        if !is_same {
            self.check_generation(row);
            let goes_on = self.row.as_ref().is_some_and(|known| known.generation == row.generation);
            let since = self.fencing_since.filter(|_| goes_on).unwrap_or(received);
            self.fencing_since = (row.state == FenceState::Fencing).then_some(since);
            self.went_back &= row.state == FenceState::Active;
            self.valid_until = None;
            self.learned_at = received;
            self.row = Some(row.clone());
        }
        // Invariant 10: from `t_send`, and L from the answer.
        let until = sent.after_ms(view.lease_ms);
        let is_valid = row.state == FenceState::Active && row.lineage == view.lineage && !self.went_back;
        self.valid_until = is_valid.then(|| self.valid_until.map_or(until, |before| before.max(until)));
    }

    /// Invariant 13: a generation never comes back.
    fn check_generation(&self, row: &NodeRow) {
        let before = self.row.as_ref().map_or(0, |known| known.generation);
        if row.generation < before && !self.went_back {
            tracing::error!(node = %row.name, "the generation of a cache server went back");
        }
    }

    /// Whether the row belongs to another history of the database than the one that answers, or the rows went
    /// back in time: then every reader's lease is void, and a fence is due.
    pub(crate) fn is_of_another_history(&self, lineage: Option<&Lineage>) -> bool {
        self.went_back || self.row.as_ref().is_some_and(|row| Some(&row.lineage) != lineage)
    }
}

impl KnownResource {
    fn learn(&mut self, row: &ResourceRow, sent: Tick, received: Tick) {
        match judge(row.revision, self.row.revision, sent, self.learned_at) {
            News::Late => return,
            News::Newest => {}
            News::WentBack => self.went_back = true,
        }
        if self.row == *row {
            return;
        }
        let goes_on = self.row.generation == row.generation;
        let since = self.fencing_since.filter(|_| goes_on).unwrap_or(received);
        self.fencing_since = (row.state == FenceState::Fencing).then_some(since);
        self.went_back &= row.state == FenceState::Active;
        self.learned_at = received;
        self.row = row.clone();
    }
}

#[cfg(test)]
mod tests;
