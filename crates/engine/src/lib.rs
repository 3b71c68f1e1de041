// SPDX-License-Identifier: MIT OR Apache-2.0
//! The strategies: the only code that moves data between a source and a cache.
//!
//! A [`Space`] is one resource, as bytes. Its reads are in `read/`, its writes in `write/`, the switch in
//! `mode.rs`, what other programs' writes do to its entries in `invalidation.rs`, and every counter in `stats.rs`. No backend is named here.

mod behind;
mod elsewhere;
mod fence;
mod freshness;
mod invalidation;
mod lease;
mod mark;
mod mode;
mod outage;
mod owed;
mod policy;
mod read;
mod route;
mod space;
mod stats;
mod transaction;
mod write;

pub use behind::{
    Behind, BehindParts, BehindPolicy, DeadLetter, OnConflict, PendingWrite, Progress, Recovered,
    journalled_resources,
};
pub use fence::{Fence, FenceParts, FenceTimes, NodeStanding};
pub use invalidation::{Invalidation, InvalidationStats};
pub use policy::{Generations, Policy};
pub use read::{Bypass, Get, Read, Served};
pub use space::{Space, SpaceParts};
pub use stats::{BehindStats, Counter, FenceStats, SpaceStats, StripedCounter};
pub use transaction::{KEY_COUNT_MAX, Transaction, TransactionSource, TransactionStats};
