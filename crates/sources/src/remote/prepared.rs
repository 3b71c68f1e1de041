// SPDX-License-Identifier: MIT OR Apache-2.0
//! The caller's end of a prepared write, whose transaction a worker holds.
//!
//! ```text
//! caller                         worker
//! prepare ── Order ────────────▶ statements
//!         ◀── RemotePrepared ─── waits for the decision, at most `prepared_life_ms`
//! commit  ── Decision ─────────▶ COMMIT
//!         ◀── how it went ──────
//! ```
//!
//! Whatever the caller drops, the worker sees: an order that nobody waits for is skipped, a prepared write
//! that was dropped is rolled back, a commit whose answer nobody awaits takes place.

use std::fmt;
use std::time::Duration;

use throughline_core::{BoxFuture, Effect, Error, ErrorKind, Prepared, Result, Retry};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::{commit_unknown, connection_lost};

/// What becomes of a prepared write; the answer says how it went.
pub(crate) enum Decision {
    Commit(oneshot::Sender<Result<()>>),
    RollBack(oneshot::Sender<Result<()>>),
}

/// Writes that ran and wait for their commit.
pub(crate) struct RemotePrepared {
    table: String,
    effects: Vec<Effect>,
    decide: oneshot::Sender<Decision>,
}

impl fmt::Debug for RemotePrepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemotePrepared")
            .field("table", &self.table)
            .field("effects", &self.effects.len())
            .finish_non_exhaustive()
    }
}

impl RemotePrepared {
    /// A prepared write on `table` and where its decision arrives.
    pub(crate) fn new(table: &str, effects: Vec<Effect>) -> (Self, oneshot::Receiver<Decision>) {
        let (decide, decision) = oneshot::channel();
        let prepared = Self { table: table.to_owned(), effects, decide };
        (prepared, decision)
    }
}

impl Prepared for RemotePrepared {
    fn effects(&self) -> &[Effect] {
        &self.effects
    }

    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            if self.decide.send(Decision::Commit(reply)).is_err() {
                let detail =
                    format!("table `{}`: it waited too long for its commit and was rolled back", self.table);
                let error = Error::new(ErrorKind::Timeout, "commit a write", detail);
                return Err(error.with_retry(Retry::Safe));
            }
            // A worker that ends without an answer was dropped with its runtime, perhaps after it had sent COMMIT.
            answer.await.unwrap_or_else(|_| Err(commit_unknown(&self.table)))
        })
    }

    fn roll_back(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            if self.decide.send(Decision::RollBack(reply)).is_err() {
                // It was rolled back already, because it waited too long.
                return Ok(());
            }
            answer.await.unwrap_or_else(|_| Err(connection_lost("roll a write back", &self.table)))
        })
    }
}

/// Waits for the decision, at most `life`; `None` when there is none, and then the transaction is rolled back.
pub(crate) async fn decided(mut decision: oneshot::Receiver<Decision>, life: Duration) -> Option<Decision> {
    match timeout(life, &mut decision).await {
        Ok(decided) => decided.ok(),
        Err(_) => {
            // Closed first: a decision that was sent before counts, one that comes later is told that it is late.
            decision.close();
            decision.try_recv().ok()
        }
    }
}
