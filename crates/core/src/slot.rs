// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where in a cache a key's entry lives.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::Key;

/// A resource's name, cheap to clone, and one word, because every entry in this process's memory has one.
#[derive(Clone, Eq, PartialOrd, Ord)]
pub struct ResourceName(Arc<Box<str>>);

impl PartialEq for ResourceName {
    /// Mostly both are the very same text in memory, and then nothing need be compared.
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl Hash for ResourceName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl ResourceName {
    /// The longest name, in bytes: it is a part of every physical key, of which memcached takes 250.
    pub const LEN_MAX: usize = 64;

    /// A name of 1 to 64 letters, digits, `_`, `-` or `.`, or `None`.
    pub fn new(name: &str) -> Option<Self> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        let fits = (1..=Self::LEN_MAX).contains(&name.len()) && name.bytes().all(allowed);
        fits.then(|| Self(Arc::new(name.into())))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One cache server of a cache, by its place in the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u16);

/// The number in every physical key that makes everything older unreachable.
///
/// A pair: the node's, raised by a fence, and the resource's, raised by whoever drops all its entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Generation {
    /// The cache server's generation.
    pub node: u64,
    /// The resource's generation.
    pub resource: u64,
}

/// Which server and which generation a cache call is meant for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Route {
    /// The server.
    pub node: NodeId,
    /// The generation under which the caller reads or writes.
    pub generation: Generation,
}

/// The place of one key in a cache. Owned, because leases and marks outlive the call that made them;
/// a clone counts two references and copies nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    /// The resource.
    pub resource: ResourceName,
    /// Server and generation.
    pub route: Route,
    /// The canonical key.
    pub key: Key,
}

/// A [`Slot`] by reference, for the look-up that must not allocate. The key's text need not be canonical:
/// nothing is ever kept under a text that is not, so it is simply not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SlotRef<'a> {
    /// The resource.
    pub resource: &'a ResourceName,
    /// The generation under which the caller reads.
    pub generation: Generation,
    /// The key's text.
    pub key: &'a str,
}
