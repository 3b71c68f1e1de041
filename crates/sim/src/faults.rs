// SPDX-License-Identifier: MIT OR Apache-2.0
//! The fault injector: breaks processes and slots by chance that follows from a seed.

mod inject;
mod plan;

use std::collections::BTreeMap;
use std::fmt;

pub(crate) use inject::JUNK;
pub use inject::{Injector, Targets};
pub use plan::{Injection, Plan};

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
    /// The database is killed and started again.
    DatabaseKill,
}

impl Fault {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::DaemonKill,
        Self::DaemonPause,
        Self::CacheKill,
        Self::CachePause,
        Self::CacheFlush,
        Self::CacheDelete,
        Self::CacheEvict,
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
        }
    }
}

/// What a fault strikes. Faults of one lane come one after another, lanes run side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lane {
    Daemons,
    Servers,
    Slots,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How often each kind was injected, not counting those that did not take.
pub type Counts = BTreeMap<Fault, u64>;
