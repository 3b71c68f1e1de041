// SPDX-License-Identifier: MIT OR Apache-2.0
//! A cache on memcached servers, by their meta protocol.
//!
//! | file | what it is |
//! |---|---|
//! | `config` | what to set |
//! | `client` | which request goes where, when it is retried, what becomes of its answer |
//! | `node` | one server: its connections and what it must show |
//! | `connection` | the queue of requests and the connection that carries them |
//! | `stream`, `tls` | its bytes, in the clear or within TLS |
//! | `probe` | what the server says about itself, and whether it will do |
//! | `nonce` | whether it is still the same server |
//! | `answer` | requests as we send them, responses as they are handed out |
//! | `map` | answers and errors in our words |
//! | `value` | an entry as bytes |
//! | `physical` | a slot's key on the server |
//! | `stats` | the counters |
//!
//! Why it is safe, in short (consistency.md, 3.2 and 3.3): a value is stored only under a token, so a request
//! that arrives late does no harm; a token is refused on every connection but its own, so a restarted server,
//! whose numbers begin anew, never takes an old one; a late answer ends its connection, and each answer must
//! carry its request's number, so nobody gets another's.

mod answer;
mod client;
mod config;
mod connection;
mod map;
mod node;
mod nonce;
mod physical;
mod probe;
mod stats;
mod stream;
mod tls;
mod value;

use std::sync::Arc;

use throughline_core::{
    BoxFuture, Cache, Checked, Clock, Entry, Fill, Hit, Key, Lease, Lookup, Mark, NodeId, NodeName, Nodes,
    Nonce, ResourceName, Result, Rng, Scope, Slot, TaggedCache, Tasks, Touch, Wanted,
};

use crate::ring::Ring;
use client::Client;

pub use config::{MemcachedConfig, MemcachedCredentials, MemcachedServer};
pub use probe::MemcachedProbe;
pub use stats::MemcachedStats;
pub use tls::{MemcachedTls, MemcachedTlsFiles};

/// A cache on one or several memcached servers, shared by every process that uses the same ones.
///
/// It needs no server to be made: while one is missing, every call for its keys fails at once with
/// [`throughline_core::ErrorKind::Unavailable`] and the reason, and connecting goes on in the background. Its keys
/// stay its own: no other server keeps them meanwhile.
#[derive(Debug)]
pub struct MemcachedCache {
    names: Vec<NodeName>,
    ring: Ring,
    client: Client,
}

impl MemcachedCache {
    /// A cache on the servers that `config` names. Connecting begins in the background, on the runtime that
    /// `tasks` uses, and goes on until [`MemcachedCache::close`] or until this is dropped.
    ///
    /// A server's [`NodeId`] is its place in the order of the names.
    ///
    /// # Panics
    /// When there is no server, more than [`MemcachedConfig::SERVER_COUNT_MAX`], or two of the same name.
    pub fn connect(
        mut config: MemcachedConfig,
        clock: &Arc<dyn Clock>,
        rng: Arc<Rng>,
        tasks: &dyn Tasks,
    ) -> Self {
        assert!(
            (1..=MemcachedConfig::SERVER_COUNT_MAX).contains(&config.servers.len()),
            "a cache has 1 to {} servers",
            MemcachedConfig::SERVER_COUNT_MAX
        );
        config.servers.sort_by(|a, b| a.name.cmp(&b.name));
        let names: Vec<NodeName> = config.servers.iter().map(|server| server.name.clone()).collect();
        assert!(names.is_sorted_by(|a, b| a < b), "each server has a name of its own");
        let ring = Ring::new(config.distribution, &names);
        Self { names, ring, client: Client::start(config, clock, rng, tasks) }
    }

    /// What the servers say about themselves, if all of them will do: the first of them. Waits for the first
    /// attempts to connect, not for a success.
    ///
    /// # Errors
    /// Of the first server that will not do, as [`MemcachedCache::probe_node`] tells it.
    pub async fn probe(&self) -> Result<MemcachedProbe> {
        let mut first = None;
        for node in self.client.nodes() {
            let probe = node.probe().await?;
            first.get_or_insert(probe);
        }
        Ok(first.expect("there is a server"))
    }

    /// What one server says about itself. Waits for the first attempt to connect, not for a success.
    ///
    /// # Errors
    /// [`throughline_core::ErrorKind::Unavailable`] or `Timeout` when there is no server,
    /// [`throughline_core::ErrorKind::Configuration`] when there is one that will not do; the text says what
    /// was found and what to change.
    pub async fn probe_node(&self, node: NodeId) -> Result<MemcachedProbe> {
        self.client.node(node).probe().await
    }

    /// Whether one server is connected and used now.
    pub fn is_up(&self, node: NodeId) -> bool {
        self.client.node(node).is_up()
    }

    /// The counters of one server.
    pub fn stats(&self, node: NodeId) -> &Arc<MemcachedStats> {
        &self.client.node(node).stats
    }

    /// Ends the connections and the background work; later calls fail with
    /// [`throughline_core::ErrorKind::Closed`].
    pub fn close(&self) {
        self.client.nodes().iter().for_each(node::Node::close);
    }
}

impl Nodes for MemcachedCache {
    fn names(&self) -> &[NodeName] {
        &self.names
    }

    fn node_of(&self, resource: &ResourceName, key: &Key) -> NodeId {
        self.ring.node_of(resource, key)
    }

    fn identify(&self, node: NodeId) -> BoxFuture<'_, Result<Nonce>> {
        Box::pin(self.client.node(node).identify())
    }

    fn expect(&self, node: NodeId, nonce: Option<Nonce>) {
        self.client.node(node).expect(nonce);
    }
}

impl TaggedCache for MemcachedCache {
    fn get_tagged<'a>(&'a self, wanted: &'a [Wanted]) -> BoxFuture<'a, Vec<Result<Checked>>> {
        Box::pin(self.client.get_tagged(wanted))
    }
}

impl Drop for MemcachedCache {
    fn drop(&mut self) {
        self.close();
    }
}

impl Cache for MemcachedCache {
    fn scope(&self) -> Scope {
        Scope::Shared
    }

    fn get<'a>(&'a self, slot: &'a Slot) -> BoxFuture<'a, Result<Lookup>> {
        Box::pin(self.client.get(slot))
    }

    fn get_many<'a>(&'a self, slots: &'a [Slot]) -> BoxFuture<'a, Vec<Result<Lookup>>> {
        Box::pin(self.client.get_many(slots))
    }

    fn peek<'a>(&'a self, slot: &'a Slot) -> BoxFuture<'a, Result<Option<Hit>>> {
        Box::pin(self.client.peek(slot))
    }

    fn fill(&self, lease: Lease, entry: Entry, ttl_ms: u64) -> BoxFuture<'static, Result<Fill>> {
        let Lease { slot, token } = lease;
        self.client.store(&slot, token, &entry, ttl_ms)
    }

    fn release(&self, lease: Lease) {
        let Lease { slot, token } = lease;
        self.client.give_back(&slot, token);
    }

    fn mark<'a>(&'a self, slots: &'a [Slot]) -> BoxFuture<'a, Vec<Result<Mark>>> {
        Box::pin(self.client.mark(slots))
    }

    fn publish(&self, mark: Mark, entry: Entry, ttl_ms: u64) -> BoxFuture<'static, Result<Fill>> {
        match mark.token {
            Some(token) => self.client.store(&mark.slot, token, &entry, ttl_ms),
            None => Box::pin(std::future::ready(Ok(Fill::Refused))),
        }
    }

    fn unmark(&self, mark: Mark) {
        if let Some(token) = mark.token {
            self.client.give_back(&mark.slot, token);
        }
    }

    fn invalidate<'a>(&'a self, slots: &'a [Slot]) -> BoxFuture<'a, Vec<Result<()>>> {
        Box::pin(self.client.invalidate(slots))
    }

    fn touch<'a>(&'a self, slot: &'a Slot, ttl_ms: u64) -> BoxFuture<'a, Result<Touch>> {
        Box::pin(self.client.touch(slot, ttl_ms))
    }
}
