// SPDX-License-Identifier: MIT OR Apache-2.0
//! The words and traits of Throughline: no I/O, no tasks, no clock of its own.
//!
//! Values enter a cache only by [`Cache::fill`] under a [`Lease`] or by [`Cache::publish`] under a
//! [`Mark`]; truth enters a source only by [`Writer::prepare`] and [`Prepared::commit`]. Whoever looks
//! for a wrong value therefore knows from which side it came.

mod cache;
mod clock;
mod control;
mod drain;
mod entry;
mod error;
mod feed;
mod hit;
mod journal;
mod key;
mod node;
mod plain;
mod policy;
mod record;
mod rng;
mod slot;
mod source;
mod tagged;
mod tasks;
mod transaction;

use std::future::Future;
use std::pin::Pin;

pub use cache::{Cache, Fill, Lease, LocalCache, Lookup, Mark, Scope, Token, Touch};
pub use clock::{Clock, Tick};
pub use control::{ControlStore, ControlView, FenceState, Lineage, NodeRow, ResourceRow, Transition};
pub use drain::{
    AcceptedWrite, Applied, Claim, Drain, DrainBatch, Drained, Lane, Owner, Undrained, Watermark,
};
pub use entry::{Entry, Fingerprint};
pub use error::{Error, ErrorKind, Result, Retry};
pub use feed::{Batch, Feed, News, Receipt};
pub use hit::{Hit, KeptEntry};
pub use journal::{Journal, Position};
pub use key::{KEY_LEN_MAX, Key};
pub use node::{NodeName, Nodes, Nonce};
pub use plain::{PlainItem, PlainStore, PlainStored, PlainWhen};
pub use policy::{Access, Level, Mode, ReadStrategy, Ttl, WriteStrategy};
pub use record::{Record, Version};
pub use rng::Rng;
pub use slot::{Generation, NodeId, ResourceName, Route, Slot, SlotRef};
pub use source::{
    Canonical, Change, Condition, Effect, Intent, Loaded, Loader, Prepared, Refusal, Sent, Target, Write,
    WriteReceipt, Writer,
};
pub use tagged::{Checked, TaggedCache, Wanted};
pub use tasks::Tasks;
pub use transaction::{Executed, Hold, Member, Parameter, Transaction, Transactions};

/// A boxed future, for traits whose implementation the operator chooses by configuration.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
