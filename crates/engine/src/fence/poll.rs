// SPDX-License-Identifier: MIT OR Apache-2.0
//! The poller: asks for the rows four times per lease, and makes the transitions that are due. Each names the state
//! that it leaves, so it does no harm that every daemon tries.

use std::sync::{Arc, Weak};
use std::time::Duration;

use throughline_core::{FenceState, NodeId, Transition};

use super::Fence;
use super::known::{Known, KnownNode};
use super::readmit::Stranger;

/// Between two questions while the length of a lease is not known.
const PAUSE_MS: u64 = 500;

/// Starts to poll, and to ask the servers who they are, until the last user of the fence is gone.
pub(super) fn start(fence: &Arc<Fence>) {
    let tasks = fence.parts.tasks.clone();
    tasks.spawn("poll the control tables", Box::pin(poll(Arc::downgrade(fence))));
    for node in fence.node_ids() {
        // One each: a server that does not answer must not keep the others from being asked.
        tasks.spawn("probe a cache server", Box::pin(probe(Arc::downgrade(fence), node)));
    }
}

async fn poll(fence: Weak<Fence>) {
    loop {
        let Some(present) = fence.upgrade() else { return };
        if let Err(error) = present.read().await {
            tracing::debug!(%error, "the control tables do not answer");
        } else if make_due_transitions(&present).await {
            // What was changed is known at once, not at the next turn.
            drop(present.read().await);
        }
        let pause = Duration::from_millis(pause_ms(&present));
        // Cut short by whoever waits for a fence.
        let _ = tokio::time::timeout(pause, present.hurry.notified()).await;
    }
}

async fn probe(fence: Weak<Fence>, node: NodeId) {
    loop {
        let Some(present) = fence.upgrade() else { return };
        present.probe(node).await;
        let pause = Duration::from_millis(present.parts.times.probe_every_ms);
        drop(present);
        tokio::time::sleep(pause).await;
    }
}

/// L/4, or less when a fence ends before.
fn pause_ms(fence: &Fence) -> u64 {
    let (known, now) = (fence.known.load(), fence.parts.clock.now());
    let quarter = if known.lease_ms == 0 { PAUSE_MS } else { (known.lease_ms / 4).max(1) };
    let nodes = known.nodes.iter().filter_map(|node| node.fencing_since);
    let resources = known.resources.values().filter_map(|resource| resource.fencing_since);
    let ends = nodes.chain(resources).map(|since| known.wait_ms.saturating_sub(now.ms_since(since)));
    // The clock may be coarse: a little later than computed, rather than once more.
    ends.map(|left| left + 5).chain([quarter]).min().unwrap_or(quarter)
}

/// Makes every transition that is due, by what is known; whether any was made.
pub(super) async fn make_due_transitions(fence: &Arc<Fence>) -> bool {
    let known = fence.known.load_full();
    let mut any = false;
    for node in fence.node_ids() {
        any |= advance_node(fence, &known, node).await;
    }
    for resource in &fence.parts.resources {
        let Some(transition) = due_for_resource(fence, &known, resource) else { continue };
        any |= fence.apply(&transition).await.unwrap_or(false);
    }
    any
}

async fn advance_node(fence: &Arc<Fence>, known: &Known, node: NodeId) -> bool {
    match due_for_node(fence, known, node) {
        Due::Nothing => false,
        Due::Fence { generation, why } => fence.start_fence(node, generation, why).await.unwrap_or(false),
        Due::Apply(transition) => {
            let applied = fence.apply(&transition).await.unwrap_or(false);
            if applied {
                match transition {
                    Transition::EndFence { .. } => fence.stats.fences_ended.add(1),
                    Transition::Readmit { .. } => fence.stats.readmissions.add(1),
                    Transition::AdoptNonce { .. } => fence.stats.nonces_adopted.add(1),
                    _ => {}
                }
            }
            applied
        }
    }
}

/// What is due for a server.
enum Due {
    Nothing,
    Fence { generation: u64, why: &'static str },
    Apply(Transition),
}

fn due_for_node(fence: &Fence, known: &Known, node: NodeId) -> Due {
    let place = &known.nodes[usize::from(node.0)];
    let Some(row) = &place.row else {
        return enroll(fence, known, node).map_or(Due::Nothing, Due::Apply);
    };
    let now = fence.parts.clock.now();
    let (name, generation) = (row.name.clone(), row.generation);
    match row.state {
        FenceState::Fencing => {
            // By anyone who has known of it for L(1+2ρ)+50 ms, counted from the response that showed it.
            let waited = place.fencing_since.is_some_and(|since| now.ms_since(since) >= known.wait_ms);
            if waited { Due::Apply(Transition::EndFence { node: name, generation }) } else { Due::Nothing }
        }
        _ if place.is_of_another_history(known.lineage.as_ref()) => {
            Due::Fence { generation, why: "the database is another one, or forgot commits" }
        }
        FenceState::Fenced => match fence.sightings.may_return(node, now) {
            Some(nonce) => Due::Apply(Transition::Readmit { node: name, generation, nonce }),
            None => Due::Nothing,
        },
        FenceState::Active => due_for_active(fence, known, node, place),
    }
}

/// Whether an active server is still the one that its row means.
fn due_for_active(fence: &Fence, known: &Known, node: NodeId, place: &KnownNode) -> Due {
    let Some(row) = &place.row else { return Due::Nothing };
    match fence.sightings.judge(node, row, known.lease_ms / 2, fence.parts.clock.now()) {
        Some(Stranger::Adopt(nonce)) => Due::Apply(Transition::AdoptNonce {
            node: row.name.clone(),
            generation: row.generation,
            before: row.nonce,
            nonce,
        }),
        Some(Stranger::Fence) => {
            Due::Fence { generation: row.generation, why: "another server answers under its address" }
        }
        Some(Stranger::Wait) | None => Due::Nothing,
    }
}

fn enroll(fence: &Fence, known: &Known, node: NodeId) -> Option<Transition> {
    Some(Transition::Enroll {
        node: fence.name(node).clone(),
        // Below 2^62, with room to grow.
        generation: fence.parts.rng.next_u64() >> 2,
        nonce: fence.sightings.shown(node)?,
        lineage: known.lineage.clone()?,
    })
}

fn due_for_resource(
    fence: &Fence,
    known: &Known,
    resource: &throughline_core::ResourceName,
) -> Option<Transition> {
    let Some(place) = known.resources.get(resource) else {
        let generation = fence.parts.rng.next_u64() >> 2;
        return Some(Transition::EnrollResource { resource: resource.clone(), generation });
    };
    let (resource, generation) = (resource.clone(), place.row.generation);
    let since = place.fencing_since;
    let waited = since.is_some_and(|since| fence.parts.clock.now().ms_since(since) >= known.wait_ms);
    match place.row.state {
        FenceState::Fencing => waited.then_some(Transition::EndBump { resource, generation }),
        _ if place.went_back => {
            let next = fence.next_generation(generation);
            Some(Transition::StartBump { resource, generation, next })
        }
        _ => None,
    }
}
