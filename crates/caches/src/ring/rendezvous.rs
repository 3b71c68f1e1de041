// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rendezvous hashing (Thaler and Ravishankar, "Using Name-Based Mappings to Increase Hit Rates", 1998): every
//! server has a score for a key, and the highest one keeps it.

use throughline_core::{NodeId, NodeName};

/// Servers, by the hashes of their names.
#[derive(Debug)]
pub(crate) struct Rendezvous {
    seeds: Vec<u64>,
}

impl Rendezvous {
    pub(super) fn new(names: &[NodeName]) -> Self {
        Self { seeds: names.iter().map(|name| hash(&[name.as_str()])).collect() }
    }

    pub(super) fn node_of(&self, resource: &str, key: &str) -> NodeId {
        let key = hash(&[resource, ":", key]);
        // Two servers with equal scores have equal seeds; their names differ, so that is one in 2^64.
        let scores = self.seeds.iter().map(|seed| mix(seed ^ key));
        let highest = scores.enumerate().max_by_key(|(_, score)| *score);
        NodeId(highest.map_or(0, |(place, _)| place as u16))
    }
}

/// The first 64 bits of the BLAKE3 hash, big-endian.
fn hash(parts: &[&str]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part.as_bytes());
    }
    let mut head = [0; 8];
    head.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_be_bytes(head)
}

/// The 64-bit finalizer of MurmurHash3 (Austin Appleby, public domain): each bit that goes in changes half of
/// those that come out. It maps numbers one to one.
fn mix(mut number: u64) -> u64 {
    number ^= number >> 33;
    number = number.wrapping_mul(0xff51_afd7_ed55_8ccd);
    number ^= number >> 33;
    number = number.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    number ^ number >> 33
}
