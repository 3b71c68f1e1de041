// SPDX-License-Identifier: MIT OR Apache-2.0
//! A cache between an application and its database that keeps the two in agreement.
//!
//! [`Throughline`] holds the resources; a [`Resource`] reads and writes typed records, a [`Space`] the
//! same as bytes. This crate is the only one with a semver promise.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use throughline::{Assembly, config::Settings};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Person {
//!     first_name: String,
//!     last_name: String,
//! }
//!
//! async fn rename() -> Result<(), Box<dyn std::error::Error>> {
//!     let text = std::fs::read_to_string("throughline.toml")?;
//!     let settings = Settings::parse(&text, &|name| std::env::var(name).ok())?;
//!     let throughline = Assembly::new(settings).open().await?;
//!     let people = throughline.resource::<u64, Person>("person")?;
//!     if let Some(person) = people.get(&42).await? {
//!         people.put(&42, &Person { last_name: "King".into(), ..person }).await?;
//!     }
//!     Ok(())
//! }
//! ```

mod assemble;
mod clock;
pub mod config;
mod listing;
mod receipt;
mod record_key;
mod resource;
mod session;
mod tasks;
mod throughline;
mod transaction;

pub use assemble::{Assembly, Installation, OutboxPlan, install, install_script};
pub use clock::MonotonicClock;
pub use listing::{About, Field, Format, JsonType, Listing};
pub use receipt::Receipt;
pub use record_key::{KeyPart, RecordKey};
pub use resource::{Resource, Versioned};
pub use session::Session;
pub use tasks::TrackedTasks;
pub use throughline::{Gauge, Notice, Throughline, Undrained};
pub use throughline_core::{
    Access, BoxFuture, Cache, Canonical, Change, Clock, Condition, Effect, Entry, Error, ErrorKind, Executed,
    Fill, Fingerprint, Hit, Intent, Journal, Key, Lease, Level, Loaded, Loader, LocalCache, Lookup, Mark,
    Mode, NodeName, Parameter, PlainItem, PlainStore, PlainStored, PlainWhen, Position, Prepared,
    ReadStrategy, Record, Refusal, ResourceName, Result, Retry, Rng, Scope, Slot, Target, Tasks, Touch, Ttl,
    Version, Write, WriteReceipt, WriteStrategy, Writer,
};
pub use throughline_engine::{
    Behind, BehindPolicy, Bypass, DeadLetter, Fence, FenceParts, FenceTimes, Generations, OnConflict,
    PendingWrite, Policy, Progress, Read, Served, Space, SpaceParts, SpaceStats,
};
pub use transaction::Transaction;
