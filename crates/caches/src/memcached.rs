// SPDX-License-Identifier: MIT OR Apache-2.0
//! A cache on a memcached server, by its meta protocol.
//!
//! | file | what it is |
//! |---|---|
//! | `config` | what to set |
//! | `client` | which request goes where, when it is retried, what becomes of its answer |
//! | `connection` | the queue of requests and the connection that carries them |
//! | `probe` | what the server says about itself, and whether it will do |
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
mod physical;
mod probe;
mod stats;
mod value;

use std::sync::Arc;

use throughline_core::{
    BoxFuture, Cache, Clock, Entry, Fill, Hit, Lease, Lookup, Mark, Result, Rng, Scope, Slot, Tasks, Touch,
};

use client::Client;

pub use config::MemcachedConfig;
pub use probe::MemcachedProbe;
pub use stats::MemcachedStats;

/// A cache on a memcached server, shared by every process that uses the same server.
///
/// It needs no server to be made: while there is none, every call fails at once with
/// [`throughline_core::ErrorKind::Unavailable`] and the reason, and connecting goes on in the background.
#[derive(Debug)]
pub struct MemcachedCache {
    client: Client,
}

impl MemcachedCache {
    /// A cache on the server that `config` names. Connecting begins in the background, on the runtime that
    /// `tasks` uses, and goes on until [`MemcachedCache::close`] or until this is dropped.
    pub fn connect(
        config: MemcachedConfig,
        clock: &Arc<dyn Clock>,
        rng: Arc<Rng>,
        tasks: &dyn Tasks,
    ) -> Self {
        Self { client: Client::start(config, clock, rng, tasks) }
    }

    /// What the server says about itself. Waits for the first attempt to connect, not for a success.
    ///
    /// # Errors
    /// [`throughline_core::ErrorKind::Unavailable`] or `Timeout` when there is no server,
    /// [`throughline_core::ErrorKind::Configuration`] when there is one that will not do; the text says what
    /// was found and what to change.
    pub async fn probe(&self) -> Result<MemcachedProbe> {
        self.client.probe().await
    }

    /// The counters.
    pub fn stats(&self) -> &Arc<MemcachedStats> {
        self.client.stats()
    }

    /// Ends the connections and the background work; later calls fail with
    /// [`throughline_core::ErrorKind::Closed`].
    pub fn close(&self) {
        self.client.close();
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
        Box::pin(async move {
            let mut looks = self.client.get(std::slice::from_ref(slot)).await;
            looks.pop().expect("one answer for one slot")
        })
    }

    fn get_many<'a>(&'a self, slots: &'a [Slot]) -> BoxFuture<'a, Vec<Result<Lookup>>> {
        Box::pin(self.client.get(slots))
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
