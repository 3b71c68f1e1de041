// SPDX-License-Identifier: MIT OR Apache-2.0
//! A resource's settings, as the strategies need them.

use std::sync::Arc;

use throughline_core::{Access, Level, ReadStrategy, Ttl, WriteStrategy};

use crate::fence::Fence;

/// The settings of one resource. They cannot contradict each other once assembly has checked them.
#[derive(Clone, Debug)]
pub struct Policy {
    /// What a read may return.
    pub level: Level,
    /// How a miss is handled.
    pub read: ReadStrategy,
    /// How a write reaches source and cache.
    pub write: WriteStrategy,
    /// Whether records may be changed.
    pub access: Access,
    /// How long entries live.
    pub ttl: Ttl,
    /// How late news of other programs' writes may be, in milliseconds (10,000 by default); while they are later,
    /// entries that are older than this are not used.
    pub staleness_ms_max: u64,
    /// How long other processes use copies of their own that a write of this one does not reach, in milliseconds (0 by
    /// default: there are none).
    pub copies_ms: u64,
    /// Whether loads ask the source if a writer has their key (the default). Where they do not, an entry that is only
    /// invalidated before the commit could be filled again with the old value by a reader in between, so write-around marks the
    /// key until then.
    pub probes: bool,
    /// For how long after its reader's lease has ended a strict resource still answers from the cache, in milliseconds
    /// (0 by default). Other daemons may go on writing meanwhile, so answers may be so old. For the case that the
    /// control tables do not answer; what is known to be fenced is never read.
    pub control_lost_ms: u64,
    /// How long a reader waits for another's lease or mark before it bypasses, in milliseconds (50 by default).
    pub lease_wait_ms: u64,
    /// The largest record that is cached, in bytes (1 MiB by default); larger ones are served uncached.
    pub entry_bytes_max: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            level: Level::Bounded,
            read: ReadStrategy::ReadThrough,
            write: WriteStrategy::WriteThrough,
            access: Access::Read,
            ttl: Ttl::default(),
            staleness_ms_max: 10_000,
            copies_ms: 0,
            probes: true,
            control_lost_ms: 0,
            lease_wait_ms: 50,
            entry_bytes_max: 1024 * 1024,
        }
    }
}

/// Who decides on the generations of a resource's entries.
#[derive(Clone, Debug)]
pub enum Generations {
    /// This process alone uses the entries: it starts with this number and raises it when it likes.
    Own(u64),
    /// Other processes share the entries: a number that only this process raised would split the cache,
    /// and their writes would no longer reach what this process reads. It stays as it is.
    Shared(u64),
    /// Other processes share the entries, and all agree through the database.
    Fleet(Arc<Fence>),
}
