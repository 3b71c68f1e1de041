// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ketama as libmemcached computes it (`MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED`, all weights equal): 160 points per
//! server on a circle of 32-bit numbers; the first point at or after a key's number keeps it.
//!
//! What is hashed of a key is `<resource>:<key>`, without the generation, which may differ from server to server.

use md5::{Digest as _, Md5};
use throughline_core::{NodeId, NodeName};

/// Each MD5 hash gives four points.
const HASHES_PER_SERVER: u32 = 40;
/// libmemcached leaves memcached's usual port out of what it hashes.
const USUAL_PORT: &str = ":11211";

/// The circle.
#[derive(Debug)]
pub(crate) struct Ketama {
    /// In ascending order; never empty.
    points: Vec<(u32, NodeId)>,
}

impl Ketama {
    pub(super) fn new(names: &[NodeName]) -> Self {
        Self::with(names, u32::from_le_bytes)
    }

    /// A circle whose points `word` makes of four bytes of a hash.
    pub(super) fn with(names: &[NodeName], word: fn([u8; 4]) -> u32) -> Self {
        let mut points = Vec::with_capacity(names.len() * HASHES_PER_SERVER as usize * 4);
        for (place, name) in names.iter().enumerate() {
            let name = name.as_str().strip_suffix(USUAL_PORT).unwrap_or(name.as_str());
            for number in 0..HASHES_PER_SERVER {
                let hash = Md5::digest(format!("{name}-{number}"));
                let words = hash.as_chunks::<4>().0;
                points.extend(words.iter().map(|bytes| (word(*bytes), NodeId(place as u16))));
            }
        }
        points.sort_unstable();
        Self { points }
    }

    pub(super) fn node_of(&self, resource: &str, key: &str) -> NodeId {
        let hash = Md5::new().chain_update(resource).chain_update(":").chain_update(key).finalize();
        let number = u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]]);
        let at = self.points.partition_point(|(point, _)| *point < number);
        self.points[at % self.points.len()].1
    }
}
