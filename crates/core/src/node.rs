// SPDX-License-Identifier: MIT OR Apache-2.0
//! The servers of a shared cache: their names, which key lives where, and whether a server is still the same one.

use std::fmt;
use std::sync::Arc;

use crate::{BoxFuture, Key, NodeId, ResourceName, Result};

/// A cache server's name: the same in every daemon, though they may reach it under different addresses.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeName(Arc<str>);

impl NodeName {
    /// The longest name, in bytes.
    pub const LEN_MAX: usize = 128;

    /// A name of 1 to 128 printable ASCII characters without spaces, or `None`.
    pub fn new(name: &str) -> Option<Self> {
        let fits = (1..=Self::LEN_MAX).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic());
        fits.then(|| Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The number that a server keeps for as long as it keeps its contents, made by whoever first finds none.
///
/// A server that shows another one was restarted, or is another server behind the same address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Nonce(pub u64);

/// The servers of a shared cache. Which server keeps a key follows from the names alone, so every daemon that
/// lists the same names agrees, and a server that is down keeps its keys: none is ever ejected.
pub trait Nodes: fmt::Debug + Send + Sync + 'static {
    /// The servers' names; a server's place is its [`NodeId`].
    fn names(&self) -> &[NodeName];

    /// Which server keeps the entries of a key.
    fn node_of(&self, resource: &ResourceName, key: &Key) -> NodeId;

    /// Asks a server for its nonce, and gives it one when it has none.
    ///
    /// # Errors
    /// The server cannot be reached, does not answer in time, or is none that can be used.
    fn identify(&self, node: NodeId) -> BoxFuture<'_, Result<Nonce>>;

    /// Says which nonce a server must show. Connections that show another are closed and not used, until this
    /// says so; `None` accepts any.
    fn expect(&self, node: NodeId, nonce: Option<Nonce>);
}
