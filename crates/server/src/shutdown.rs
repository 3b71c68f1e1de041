// SPDX-License-Identifier: MIT OR Apache-2.0
//! Shutting the doors: stop accepting, finish what is in flight within a limit, close.
//!
//! 1. Whoever ends the program calls [`Shutdown::begin`].
//! 2. Each door drops its listener; each connection hears of it by its [`ShutdownSignal`], answers what it
//!    has read in full, and closes.
//! 3. A door waits for its connections for at most [`Shutdown::limit`], aborts those that are left, and its
//!    `serve_…` future ends. Only then is it time for `Throughline::shut_down`.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Tells every door when to end. A clone is another handle.
#[derive(Clone, Debug)]
pub struct Shutdown {
    begun: CancellationToken,
    limit: Duration,
}

impl Shutdown {
    /// A program that runs. `limit` is how long connections may take to finish what is in flight.
    pub fn new(limit: Duration) -> Self {
        Self { begun: CancellationToken::new(), limit }
    }

    /// Begins to shut down, once and for all; returns at once.
    pub fn begin(&self) {
        self.begun.cancel();
    }

    /// Ends when shutting down has begun.
    pub async fn begun(&self) {
        self.begun.cancelled().await;
    }

    /// How long connections may take to finish what is in flight.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// What a connection hears of it by. Connections do not share a lock for listening.
    pub fn signal(&self) -> ShutdownSignal {
        ShutdownSignal { begun: self.begun.child_token() }
    }

    /// Waits for `connections`, which must have heard the signal, and aborts those that exceed the limit.
    /// Whether all ended by themselves.
    pub async fn finish(&self, mut connections: JoinSet<()>) -> bool {
        let ended = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(self.limit, ended).await.is_ok() {
            return true;
        }
        tracing::warn!(left = connections.len(), "connections did not finish in time; closing them");
        connections.shutdown().await;
        false
    }
}

/// A connection's ear for [`Shutdown::begin`].
#[derive(Debug)]
pub struct ShutdownSignal {
    begun: CancellationToken,
}

impl ShutdownSignal {
    /// Whether shutting down has begun.
    pub fn has_begun(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// Ends when shutting down has begun.
    pub async fn begun(&self) {
        self.begun.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use super::Shutdown;
    use std::time::Duration;
    use tokio::task::JoinSet;

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_hears_the_signal_ends_in_time() {
        let shutdown = Shutdown::new(Duration::from_secs(5));
        let signal = shutdown.signal();
        assert!(!signal.has_begun());
        let mut connections = JoinSet::new();
        connections.spawn(async move { signal.begun().await });
        shutdown.begin();
        shutdown.begun().await;
        assert!(shutdown.signal().has_begun());
        assert!(shutdown.finish(connections).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_does_not_end_is_closed_at_the_limit() {
        let shutdown = Shutdown::new(Duration::from_secs(5));
        let mut connections = JoinSet::new();
        connections.spawn(std::future::pending());
        shutdown.begin();
        assert!(!shutdown.finish(connections).await);
    }
}
