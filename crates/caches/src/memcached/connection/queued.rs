// SPDX-License-Identifier: MIT OR Apache-2.0
//! A request that was queued, until its answer is taken.

use std::sync::Arc;
use std::time::Duration;

use throughline_core::{Error, Result};
use tokio::sync::oneshot;

use super::super::answer::Answer;
use super::super::map;
use super::super::stats::MemcachedStats;
use super::Connection;

/// A request that was queued. Dropped before its answer was taken, it gives back what the answer gives.
#[derive(Debug)]
pub(in super::super) struct Queued {
    connection: Arc<Connection>,
    line: u64,
    give_back: Option<Box<[u8]>>,
    coming: oneshot::Receiver<Result<Answer>>,
    /// The answer, from its receipt until it is taken.
    received: Option<Result<Answer>>,
}

impl Queued {
    pub(super) fn new(
        connection: Arc<Connection>,
        line: u64,
        give_back: Option<Box<[u8]>>,
        coming: oneshot::Receiver<Result<Answer>>,
    ) -> Self {
        Self { connection, line, give_back, coming, received: None }
    }

    /// The number of the connection that carries it.
    pub(in super::super) fn line(&self) -> u64 {
        self.line
    }

    /// Why there is no answer, once that is known.
    pub(in super::super) fn error(&self) -> Option<&Error> {
        self.received.as_ref().and_then(|received| received.as_ref().err())
    }

    /// The answer, once it was received.
    pub(in super::super) fn take(mut self) -> Result<Answer> {
        self.received.take().expect("taken once, after it was received")
    }

    async fn receive(&mut self) {
        if self.received.is_none() {
            let answer = (&mut self.coming).await;
            self.received = Some(answer.expect("whoever takes a waiting caller out of the queue answers it"));
        }
    }

    /// Receives what has come; if nothing has, the caller goes.
    ///
    /// A late mark takes the connection along, so that it can be tried again on a fresh one. A late look-up does
    /// not: it gives up much earlier, and a moment's load would void the marks and leases of everybody on
    /// the connection. A server that stands still is noticed by the connection itself.
    fn receive_or_go(&mut self, timeout_ms: u64) {
        if self.received.is_some() {
            return;
        }
        self.received = Some(self.coming.try_recv().unwrap_or_else(|_| {
            let error = map::late(&self.connection.server, timeout_ms);
            MemcachedStats::count(&self.connection.stats.timeouts);
            if timeout_ms >= self.connection.config.mark_timeout_ms {
                self.connection.end(self.line, &error);
            }
            Err(error)
        }));
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        let Some(key) = self.give_back.take() else { return };
        // Closed first: an answer that comes afterwards is given back by whoever brings it.
        self.coming.close();
        let received = self.received.take().filter(Result::is_ok).or_else(|| self.coming.try_recv().ok());
        if let Some(Ok(answer)) = received {
            self.connection.give_back(self.line, &key, &answer);
        }
    }
}

/// Waits until every request has its answer or its error.
///
/// # Cancel safety
/// Answers that were received stay with their requests, so dropping the future loses none.
pub(in super::super) async fn receive_all(queued: &mut [&mut Queued], timeout_ms: u64) {
    let all = async {
        for queued in queued.iter_mut() {
            queued.receive().await;
        }
    };
    if tokio::time::timeout(Duration::from_millis(timeout_ms), all).await.is_err() {
        for queued in queued {
            queued.receive_or_go(timeout_ms);
        }
    }
}
