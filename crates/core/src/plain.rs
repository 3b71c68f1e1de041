// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cached keys without a source: what an ordinary memcached offers.

use std::fmt;

use bytes::Bytes;

use crate::{BoxFuture, Result};

/// A value of the plain space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainItem {
    /// The value.
    pub value: Bytes,
    /// The client's flags.
    pub flags: u32,
    /// Changes with every store; never 0.
    pub cas: u64,
    /// Milliseconds until it expires; `None` when it does not.
    pub ttl_left_ms: Option<u64>,
}

/// Under which condition a value of the plain space is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainWhen {
    /// Always.
    Always,
    /// If the key holds nothing.
    Absent,
    /// If the key holds something.
    Present,
    /// If what the key holds has this cas number.
    Cas(u64),
    /// If the key holds something: behind it; flags and life stay.
    Append,
    /// If the key holds something: in front of it; flags and life stay.
    Prepend,
}

/// How a store into the plain space went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainStored {
    /// Stored; the new cas number.
    Stored(u64),
    /// The key was there although it must not be, or was not although it must be.
    NotStored,
    /// The key holds another cas number.
    Exists,
    /// A cas number was given and the key holds nothing.
    NotFound,
    /// The value is larger than the space takes; whatever the key held is still there.
    TooLarge,
}

/// The plain space: keys and values as clients set them, which may vanish at any time.
///
/// Never given to a resource with a source: a value that no lease or mark guards could stay there for ever.
pub trait PlainStore: fmt::Debug + Send + Sync + 'static {
    /// What `key` holds.
    fn get<'a>(&'a self, key: &'a [u8]) -> BoxFuture<'a, Result<Option<PlainItem>>>;

    /// Stores `value` under `when`. `ttl_ms`: milliseconds to live, `None` without end, `Some(0)` expires at once.
    fn set<'a>(
        &'a self,
        key: &'a [u8],
        value: Bytes,
        flags: u32,
        ttl_ms: Option<u64>,
        when: PlainWhen,
    ) -> BoxFuture<'a, Result<PlainStored>>;

    /// Removes `key`; whether it held something.
    fn remove<'a>(&'a self, key: &'a [u8]) -> BoxFuture<'a, Result<bool>>;

    /// Gives what `key` holds another life; whether it held something.
    fn touch<'a>(&'a self, key: &'a [u8], ttl_ms: Option<u64>) -> BoxFuture<'a, Result<bool>>;

    /// Empties the space.
    fn clear(&self) -> BoxFuture<'_, Result<()>>;
}
