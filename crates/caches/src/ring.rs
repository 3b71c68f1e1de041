// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which of several servers keeps a key.
//!
//! It follows from the servers' names and the key alone, so every daemon that lists the same names agrees,
//! whatever the order of its list and whatever addresses it sees. Both algorithms are fixed for good: a version
//! that placed a key elsewhere would read and write beside the daemons that run the former one. No server is
//! ever left out because it is down: somebody else may still reach it, and read there what was placed elsewhere.

mod ketama;
mod rendezvous;

use throughline_core::{Key, NodeId, NodeName, ResourceName};

use ketama::Ketama;
use rendezvous::Rendezvous;

/// How keys are distributed over servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Distribution {
    /// By the highest score of name and key. Adding or removing a server moves only the keys that it gets or had.
    #[default]
    Rendezvous,
    /// As libmemcached does with its weighted ketama and MD5, for servers that others share.
    Ketama,
}

/// Servers, and the way to find a key's.
#[derive(Debug)]
pub(crate) enum Ring {
    /// One server keeps everything, and nothing is hashed.
    One,
    Rendezvous(Rendezvous),
    Ketama(Ketama),
}

impl Ring {
    /// A ring of the servers `names`, whose places in it are their [`NodeId`]s.
    pub(crate) fn new(distribution: Distribution, names: &[NodeName]) -> Self {
        match distribution {
            _ if names.len() < 2 => Self::One,
            Distribution::Rendezvous => Self::Rendezvous(Rendezvous::new(names)),
            Distribution::Ketama => Self::Ketama(Ketama::new(names)),
        }
    }

    pub(crate) fn node_of(&self, resource: &ResourceName, key: &Key) -> NodeId {
        match self {
            Self::One => NodeId(0),
            Self::Rendezvous(rendezvous) => rendezvous.node_of(resource.as_str(), key.as_str()),
            Self::Ketama(ketama) => ketama.node_of(resource.as_str(), key.as_str()),
        }
    }
}

#[cfg(test)]
mod tests;
