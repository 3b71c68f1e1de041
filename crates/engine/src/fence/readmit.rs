// SPDX-License-Identifier: MIT OR Apache-2.0
//! What this daemon has seen of the servers themselves: whether one may be readmitted, and whether one that shows
//! another nonce was plainly restarted.

use parking_lot::Mutex;
use throughline_core::{FenceState, NodeId, NodeRow, Nonce, Tick};

use super::FenceTimes;

/// Nonces that are remembered of a server.
const SEEN_COUNT_MAX: usize = 16;
/// A server that was active for this many times H was well; sooner, it flaps.
const WELL_FACTOR: u64 = 12;

/// What was seen of every server.
#[derive(Debug)]
pub(super) struct Sightings {
    nodes: Mutex<Vec<Sighting>>,
    times: FenceTimes,
}

#[derive(Clone, Debug)]
struct Sighting {
    /// What it showed last; `None` when it did not answer.
    shown: Option<Nonce>,
    /// Since when every question was answered with the same nonce.
    good_since: Option<Tick>,
    /// What it showed before, the newest last.
    seen: Vec<Nonce>,
    /// Since when it shows another nonce than its row.
    differs_since: Option<Tick>,
    /// H.
    readmit_ms: u64,
    active_since: Option<Tick>,
    fenced_since: Option<Tick>,
    was_fenced: bool,
}

/// What to do about a server that shows another nonce than its row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stranger {
    /// It was restarted, and is empty: expect the new nonce under the same generation.
    Adopt(Nonce),
    /// It may be another server behind the same address: fence.
    Fence,
    /// Look again: the row may be changing.
    Wait,
}

impl Sightings {
    pub(super) fn new(count: usize, times: FenceTimes) -> Self {
        let sighting = Sighting {
            shown: None,
            good_since: None,
            seen: Vec::new(),
            differs_since: None,
            readmit_ms: times.readmit_ms_min,
            active_since: None,
            fenced_since: None,
            was_fenced: false,
        };
        Self { nodes: Mutex::new(vec![sighting; count]), times }
    }

    /// Notes the answer of a server.
    pub(super) fn saw(&self, node: NodeId, shown: Option<Nonce>, now: Tick) {
        let mut nodes = self.nodes.lock();
        let sighting = &mut nodes[usize::from(node.0)];
        let goes_on = shown.is_some() && sighting.shown == shown;
        sighting.good_since = if goes_on { sighting.good_since } else { shown.map(|_| now) };
        sighting.shown = shown;
    }

    /// Notes that a server's row moved on.
    pub(super) fn moved(&self, node: NodeId, state: FenceState, now: Tick) {
        let mut nodes = self.nodes.lock();
        let sighting = &mut nodes[usize::from(node.0)];
        match state {
            FenceState::Active => {
                sighting.active_since = Some(now);
                sighting.fenced_since = None;
            }
            FenceState::Fencing | FenceState::Fenced => {
                if let Some(since) = sighting.active_since.take() {
                    let was_well = now.ms_since(since) >= WELL_FACTOR * sighting.readmit_ms;
                    let is_first = !std::mem::replace(&mut sighting.was_fenced, true);
                    sighting.readmit_ms = if was_well || is_first {
                        self.times.readmit_ms_min
                    } else {
                        (sighting.readmit_ms * 2).min(self.times.readmit_ms_max)
                    };
                }
                sighting.fenced_since.get_or_insert(now);
            }
        }
    }

    /// What a server shows, if it answers.
    pub(super) fn shown(&self, node: NodeId) -> Option<Nonce> {
        self.nodes.lock()[usize::from(node.0)].shown
    }

    /// The nonce under which a fenced server may be readmitted: it has answered well for H, and H has passed
    /// since it was fenced.
    pub(super) fn may_return(&self, node: NodeId, now: Tick) -> Option<Nonce> {
        let nodes = self.nodes.lock();
        let sighting = &nodes[usize::from(node.0)];
        let since = sighting.good_since?.max(sighting.fenced_since?);
        sighting.shown.filter(|_| now.ms_since(since) >= sighting.readmit_ms)
    }

    /// Judges what an active server shows against its row.
    ///
    /// A plain restart is one that this daemon has witnessed: under this address it saw the row's nonce before,
    /// and now sees one that it never saw. Then everything that was kept under the old nonce is gone, together
    /// with every connection to it. Who has not seen the row's nonce himself may be looking at another server;
    /// he gives those who have a lease's time to adopt it, and then fences.
    pub(super) fn judge(&self, node: NodeId, row: &NodeRow, patience_ms: u64, now: Tick) -> Option<Stranger> {
        let mut nodes = self.nodes.lock();
        let sighting = &mut nodes[usize::from(node.0)];
        let shown = sighting.shown?;
        if shown == row.nonce {
            sighting.differs_since = None;
            sighting.remember(shown);
            return None;
        }
        if sighting.seen.contains(&row.nonce) && !sighting.seen.contains(&shown) {
            return Some(Stranger::Adopt(shown));
        }
        let since = *sighting.differs_since.get_or_insert(now);
        let waited = now.ms_since(since) >= patience_ms;
        Some(if waited { Stranger::Fence } else { Stranger::Wait })
    }
}

impl Sighting {
    fn remember(&mut self, nonce: Nonce) {
        if self.seen.last() != Some(&nonce) {
            self.seen.retain(|seen| *seen != nonce);
            if self.seen.len() == SEEN_COUNT_MAX {
                self.seen.remove(0);
            }
            self.seen.push(nonce);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Sightings, Stranger};
    use crate::fence::FenceTimes;
    use throughline_core::{FenceState, Lineage, NodeId, NodeName, NodeRow, Nonce, Tick};

    const NODE: NodeId = NodeId(0);

    fn row(nonce: u64) -> NodeRow {
        NodeRow {
            name: NodeName::new("a").unwrap(),
            generation: 1,
            previous: 1,
            state: FenceState::Active,
            nonce: Nonce(nonce),
            lineage: Lineage::new("first"),
            map_version: 1,
            revision: 1,
        }
    }

    fn at(seconds: u64) -> Tick {
        Tick::from_ms(seconds * 1_000)
    }

    #[test]
    fn a_restart_that_was_witnessed_is_adopted_and_a_return_is_not() {
        let sightings = Sightings::new(1, FenceTimes::default());
        let judge = |nonce, seconds| sightings.judge(NODE, &row(nonce), 1_000, at(seconds));
        sightings.saw(NODE, Some(Nonce(7)), at(1));
        assert_eq!(judge(7, 1), None);
        sightings.saw(NODE, Some(Nonce(8)), at(2));
        assert_eq!(judge(7, 2), Some(Stranger::Adopt(Nonce(8))));
        assert_eq!(judge(8, 2), None, "adopted");
        sightings.saw(NODE, Some(Nonce(7)), at(3));
        assert_eq!(judge(8, 3), Some(Stranger::Wait), "two servers behind one address");
        assert_eq!(judge(8, 4), Some(Stranger::Fence));
    }

    #[test]
    fn a_server_that_never_showed_the_rows_nonce_here_is_fenced_after_a_while() {
        let sightings = Sightings::new(1, FenceTimes::default());
        sightings.saw(NODE, Some(Nonce(9)), at(1));
        assert_eq!(sightings.judge(NODE, &row(7), 1_000, at(1)), Some(Stranger::Wait));
        assert_eq!(sightings.judge(NODE, &row(9), 1_000, at(2)), None, "somebody adopted it meanwhile");
        assert_eq!(sightings.judge(NODE, &row(7), 1_000, at(3)), Some(Stranger::Wait), "counted anew");
        sightings.saw(NODE, None, at(4));
        assert_eq!(sightings.judge(NODE, &row(7), 1_000, at(9)), None, "who does not answer shows nothing");
    }

    #[test]
    fn a_fenced_server_returns_after_good_probes_and_later_each_time_when_it_flaps() {
        let sightings = Sightings::new(1, FenceTimes::default());
        let mut now = 0;
        let mut pauses = Vec::new();
        for _ in 0..8 {
            sightings.saw(NODE, Some(Nonce(7)), at(now));
            sightings.judge(NODE, &row(7), 1_000, at(now));
            sightings.moved(NODE, FenceState::Active, at(now));
            now += 1;
            sightings.moved(NODE, FenceState::Fencing, at(now));
            let began = now;
            while sightings.may_return(NODE, at(now)).is_none() {
                now += 1;
            }
            pauses.push(now - began);
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 300, 300]);
        now += 1;
        sightings.moved(NODE, FenceState::Active, at(now));
        now += 3_600;
        sightings.moved(NODE, FenceState::Fencing, at(now));
        assert!(sightings.may_return(NODE, at(now + 5)).is_some(), "it was well for long");
        sightings.saw(NODE, None, at(now + 6));
        sightings.saw(NODE, Some(Nonce(7)), at(now + 7));
        assert!(sightings.may_return(NODE, at(now + 11)).is_none(), "it was away meanwhile");
    }
}
