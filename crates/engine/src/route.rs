// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where a key's entry is: on which server, under which generations. Readers and writers ask differently, so
//! each has its own way here, and there is no third one.

use std::sync::Arc;

use throughline_core::{ControlView, Generation, Key, Level, NodeId, Nonce, Result, Route, Slot};

use crate::fence::{Fence, Place, Promise};
use crate::policy::Generations;
use crate::read::Bypass;
use crate::space::Space;

/// Without control tables a server's number is nobody's concern here.
const NO_NONCE: Nonce = Nonce(0);

impl Space {
    /// The agreement of the fleet that its entries are under.
    pub(crate) fn fence(&self) -> Option<&Arc<Fence>> {
        match &self.parts.generations {
            Generations::Fleet(fence) => Some(fence),
            Generations::Own(_) | Generations::Shared(_) => None,
        }
    }

    /// The server of a key's entry. With several of them that hashes the key once for each: asked for once per use.
    pub(crate) fn node_of(&self, key: &Key) -> NodeId {
        let nodes = self.parts.nodes.as_ref();
        nodes.map_or(NodeId::default(), |nodes| nodes.node_of(self.name(), key))
    }

    /// The key's slot on its server, `node`.
    pub(crate) fn slot_on(&self, node: NodeId, key: &Key, generation: Generation) -> Slot {
        let route = Route { node, generation };
        Slot { resource: self.name().clone(), route, key: key.clone() }
    }

    /// Where a reader that begins now may look, or why it must not. This is the check of the reader's lease, at the
    /// beginning of a look-up; [`Space::still_reads`] is the one at its end.
    pub(crate) fn reader_slot(&self, key: &Key) -> std::result::Result<Slot, Bypass> {
        let node = self.node_of(key);
        let generation = match self.fence() {
            Some(fence) => fence.readable(node, self.name(), Promise::of(self.policy()))?,
            None => self.own_generation(),
        };
        Ok(self.slot_on(node, key, generation))
    }

    /// Whether what a look-up found under `slot` still counts when the answer comes, or why not: the server may have
    /// been fenced and taken in again meanwhile, and whatever it brought back from before is not marked there.
    pub(crate) fn still_reads(&self, slot: &Slot) -> std::result::Result<(), Bypass> {
        let Some(fence) = self.fence() else { return Ok(()) };
        let generation = fence.readable(slot.route.node, self.name(), Promise::of(self.policy()))?;
        if generation == slot.route.generation { Ok(()) } else { Err(Bypass::Fenced) }
    }

    /// Where a mark on `node` must be, as far as is known without asking.
    pub(crate) fn guess(&self, node: NodeId) -> Place {
        match self.fence() {
            Some(fence) => fence.guess(node, self.name()),
            None => Place::Under(self.own_generation(), NO_NONCE),
        }
    }

    /// Where a mark on `node` must be by rows that were read for it.
    pub(crate) fn place_in(&self, fence: &Fence, view: &ControlView, node: NodeId) -> Place {
        Place::of(view.node(fence.name(node)), view.resource(self.name()))
    }

    /// Empties the keys' slots wherever readers may look; answers in the order of `keys`, at most 1,000.
    /// Nothing needs to be done where nobody reads.
    pub(crate) async fn invalidate_entries(&self, keys: &[Key]) -> Vec<Result<()>> {
        let Some(cache) = &self.parts.cache else {
            return keys.iter().map(|_| Ok(())).collect();
        };
        let nodes: Vec<NodeId> = keys.iter().map(|key| self.node_of(key)).collect();
        let places: Vec<Place> = match self.fence() {
            None => nodes.iter().map(|node| self.guess(*node)).collect(),
            Some(fence) => match fence.read().await {
                Ok(view) => nodes.iter().map(|node| self.place_in(fence, &view, *node)).collect(),
                Err(error) if self.policy().level == Level::Strict => {
                    return keys.iter().map(|_| Err(error.clone())).collect();
                }
                Err(_) => nodes.iter().map(|node| self.guess(*node)).collect(),
            },
        };
        let slot = |((key, node), place): ((&Key, &NodeId), &Place)| match place {
            Place::Under(generation, _) => Some(self.slot_on(*node, key, *generation)),
            Place::Nowhere => None,
        };
        let slots: Vec<Slot> = keys.iter().zip(&nodes).zip(&places).filter_map(slot).collect();
        let mut answers =
            if slots.is_empty() { Vec::new() } else { cache.invalidate(&slots).await }.into_iter();
        let answer = |place: &Place| match place {
            Place::Under(..) => answers.next().unwrap_or(Ok(())),
            Place::Nowhere => Ok(()),
        };
        places.iter().map(answer).collect()
    }
}
