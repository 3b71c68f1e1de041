// SPDX-License-Identifier: MIT OR Apache-2.0
//! One server: its connections, what it must show, what is counted about it.

use std::sync::Arc;

use throughline_core::{Nonce, Result};

use super::config::MemcachedServer;
use super::connection::{Connection, Surroundings};
use super::nonce::Expected;
use super::probe::MemcachedProbe;
use super::stats::MemcachedStats;

/// One server.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) stats: Arc<MemcachedStats>,
    expected: Arc<Expected>,
    connections: Vec<Arc<Connection>>,
}

impl Node {
    pub(super) fn start(server: &MemcachedServer, surroundings: &Surroundings<'_>) -> Self {
        let stats = Arc::new(MemcachedStats::default());
        let expected = Arc::new(Expected::default());
        let connections = (0..surroundings.config.connections.max(1))
            .map(|_| Connection::start(server, &stats, &expected, surroundings))
            .collect();
        Self { stats, expected, connections }
    }

    /// The connection of a key, by its check.
    pub(super) fn connection(&self, check: u64) -> &Arc<Connection> {
        &self.connections[check as usize % self.connections.len()]
    }

    pub(super) fn close(&self) {
        self.connections.iter().for_each(|connection| connection.close());
    }

    pub(super) async fn probe(&self) -> Result<MemcachedProbe> {
        let mut settled = self.connections[0].settled().await;
        for connection in &self.connections[1..] {
            settled = settled.or(connection.settled().await);
        }
        settled
    }

    pub(super) fn is_up(&self) -> bool {
        self.connections.iter().any(|connection| connection.is_up())
    }

    pub(super) async fn identify(&self) -> Result<Nonce> {
        self.connections[0].identify().await
    }

    pub(super) fn expect(&self, wanted: Option<Nonce>) {
        // In this order: a connection that is made meanwhile is measured by the new one.
        if self.expected.set(wanted) {
            self.connections.iter().for_each(|connection| connection.look_again(wanted));
        }
    }
}
