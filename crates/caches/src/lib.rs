// SPDX-License-Identifier: MIT OR Apache-2.0
//! Caches: process memory, memcached, and copies in process memory of what is on memcached.
//!
//! Neither can be made to store a value blindly: each implements [`throughline_core::Cache`], where a value
//! needs a lease or a mark, and the contract suite of `throughline-testkit` holds each to the same promises.

mod identity;
mod memcached;
mod memory;
mod ring;
mod tiered;

pub use memcached::{
    MemcachedCache, MemcachedConfig, MemcachedCredentials, MemcachedProbe, MemcachedServer, MemcachedStats,
    MemcachedTls, MemcachedTlsFiles,
};
pub use memory::{MemoryCache, MemoryConfig, PlainMemory, PlainMemoryConfig};
pub use ring::Distribution;
pub use tiered::{L1Stats, TieredCache};
