// SPDX-License-Identifier: MIT OR Apache-2.0
//! The fault injector: breaks processes and slots by chance that follows from a seed.

mod canary;
mod inject;
mod plan;
mod slots;

use std::collections::BTreeMap;
use std::fmt;

pub use canary::Canary;
pub use inject::{Injector, Targets};
pub use plan::{Injection, Plan};
pub(crate) use slots::JUNK;

/// One kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A daemon is killed (SIGKILL) and started again.
    DaemonKill,
    /// A daemon stands still (SIGSTOP) for a while.
    DaemonPause,
    /// memcached is killed and started again, empty.
    CacheKill,
    /// memcached stands still for a while.
    CachePause,
    /// `flush_all`.
    CacheFlush,
    /// One slot is deleted, as an eviction would; marks and leases included.
    CacheDelete,
    /// A small memcached is filled with foreign values until it really evicts.
    CacheEvict,
    /// One daemon loses one memcached for more than two reader leases; the others keep it.
    CachePartition,
    /// Nothing passes between one daemon and one memcached, and no connection ends.
    CacheSilent,
    /// Commands reach memcached, answers do not come back.
    CacheHalfOpen,
    /// What passes between one daemon and one memcached is late.
    CacheSlow,
    /// The connections between one daemon and one memcached are reset.
    CacheReset,
    /// A daemon's connection to the database is cut at COMMIT, before or after it arrives.
    CommitLost,
    /// A daemon's connections to the database are reset.
    DatabaseReset,
    /// The database is killed and started again.
    DatabaseKill,
}

impl Fault {
    /// All kinds.
    pub const ALL: [Self; 15] = [
        Self::DaemonKill,
        Self::DaemonPause,
        Self::CacheKill,
        Self::CachePause,
        Self::CacheFlush,
        Self::CacheDelete,
        Self::CacheEvict,
        Self::CachePartition,
        Self::CacheSilent,
        Self::CacheHalfOpen,
        Self::CacheSlow,
        Self::CacheReset,
        Self::CommitLost,
        Self::DatabaseReset,
        Self::DatabaseKill,
    ];

    /// Its name on the command line and in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DaemonKill => "daemon-kill",
            Self::DaemonPause => "daemon-pause",
            Self::CacheKill => "cache-kill",
            Self::CachePause => "cache-pause",
            Self::CacheFlush => "cache-flush",
            Self::CacheDelete => "cache-delete",
            Self::CacheEvict => "cache-evict",
            Self::CachePartition => "cache-partition",
            Self::CacheSilent => "cache-silent",
            Self::CacheHalfOpen => "cache-half-open",
            Self::CacheSlow => "cache-slow",
            Self::CacheReset => "cache-reset",
            Self::CommitLost => "commit-lost",
            Self::DatabaseReset => "database-reset",
            Self::DatabaseKill => "database-kill",
        }
    }

    /// The kind called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.as_str() == name)
    }

    const fn lane(self) -> Lane {
        match self {
            Self::DaemonKill | Self::DaemonPause => Lane::Daemons,
            Self::CacheKill | Self::CachePause | Self::DatabaseKill => Lane::Servers,
            Self::CacheFlush | Self::CacheDelete | Self::CacheEvict => Lane::Slots,
            Self::CachePartition
            | Self::CacheSilent
            | Self::CacheHalfOpen
            | Self::CacheSlow
            | Self::CacheReset => Lane::Links,
            Self::CommitLost | Self::DatabaseReset => Lane::Commits,
        }
    }
}

/// What a fault strikes. Faults of one lane come one after another, lanes run side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lane {
    Daemons,
    Servers,
    Slots,
    Links,
    Commits,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One injection that took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Struck {
    /// What was broken.
    pub fault: Fault,
    /// From when, in nanoseconds of the run.
    pub from_ns: u64,
    /// Until when.
    pub until_ns: u64,
    /// For a partition: how long until a caller of the daemon that was cut off had every key written again.
    /// `None` where that is not measured, or was not reached before the way was open again.
    pub first_writes_ns: Option<u64>,
}

/// How often each kind was injected, not counting those that did not take.
pub type Counts = BTreeMap<Fault, u64>;

/// Counts injections by kind.
pub fn counts(struck: &[Struck]) -> Counts {
    struck.iter().fold(Counts::new(), |mut counts, struck| {
        *counts.entry(struck.fault).or_default() += 1;
        counts
    })
}
