// SPDX-License-Identifier: MIT OR Apache-2.0
//! A transaction from its first statement to its end, held by the worker that owns the connection.
//!
//! ```text
//! caller                         worker
//! prepare ── Order ────────────▶ statements (BEGIN travels with the first)
//!         ◀── PostgresPrepared ──── waits for the decision, at most `prepared_life_ms`
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

use super::client::Session;
use super::map::{Failure, commit_error, statement_error};

const ROLL_BACK: &str = "roll a write back";

/// What becomes of a prepared write.
pub(super) enum Decision {
    Commit(oneshot::Sender<Result<()>>),
    RollBack(oneshot::Sender<Result<()>>),
}

/// Writes that ran and wait for their commit.
pub(super) struct PostgresPrepared {
    table: String,
    effects: Vec<Effect>,
    decide: oneshot::Sender<Decision>,
}

impl fmt::Debug for PostgresPrepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresPrepared")
            .field("table", &self.table)
            .field("effects", &self.effects.len())
            .finish_non_exhaustive()
    }
}

impl PostgresPrepared {
    /// A prepared write on `table` and where its decision arrives.
    pub(super) fn new(table: &str, effects: Vec<Effect>) -> (Self, oneshot::Receiver<Decision>) {
        let (decide, decision) = oneshot::channel();
        let prepared = Self { table: table.to_owned(), effects, decide };
        (prepared, decision)
    }
}

impl Prepared for PostgresPrepared {
    fn effects(&self) -> &[Effect] {
        &self.effects
    }

    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            if self.decide.send(Decision::Commit(reply)).is_err() {
                return Err(Error::new(
                    ErrorKind::Timeout,
                    "commit a write",
                    format!("table `{}`: it waited too long for its commit and was rolled back", self.table),
                )
                .with_retry(Retry::Safe));
            }
            // A worker that ends without an answer was dropped with its runtime, perhaps after it had sent COMMIT.
            answer.await.unwrap_or_else(|_| Err(commit_error(&self.table, &Failure::Lost)))
        })
    }

    fn roll_back(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            if self.decide.send(Decision::RollBack(reply)).is_err() {
                // It was rolled back already, because it waited too long.
                return Ok(());
            }
            answer
                .await
                .unwrap_or_else(|_| Err(statement_error(ROLL_BACK, &self.table, &Failure::Lost, &|_| false)))
        })
    }
}

/// Waits for the decision on the session's transaction, at most `life`, and carries it out; whether the
/// transaction is known to be committed.
pub(super) async fn settle(
    session: &Session,
    table: &str,
    mut decision: oneshot::Receiver<Decision>,
    life: Duration,
) -> bool {
    let decided = match timeout(life, &mut decision).await {
        Ok(decided) => decided.ok(),
        Err(_) => {
            // Closed first: a decision that was sent before counts, one that comes later is told that it is late.
            decision.close();
            decision.try_recv().ok()
        }
    };
    match decided {
        Some(Decision::Commit(reply)) => {
            let outcome = commit(session, table).await;
            let committed = outcome.is_ok();
            // Nobody may be waiting any more; the commit took place all the same.
            let _ = reply.send(outcome);
            committed
        }
        Some(Decision::RollBack(reply)) => {
            session.count_round_trip();
            let outcome = session.command("ROLLBACK").await;
            if outcome.is_err() {
                // The next order must not join, and commit, what is still open.
                session.abandon();
            }
            let error = |failure| statement_error(ROLL_BACK, table, &failure, &|_| false);
            let _ = reply.send(outcome.map_err(error));
            false
        }
        None => {
            roll_back(session).await;
            false
        }
    }
}

async fn commit(session: &Session, table: &str) -> Result<()> {
    if !session.is_open() {
        // COMMIT was never sent, and the server rolls back when a connection ends.
        let detail = format!("table `{table}`: the connection was lost before the commit was sent");
        return Err(Error::new(ErrorKind::Unavailable, "commit a write", detail));
    }
    session.count_round_trip();
    let outcome = session.command("COMMIT").await;
    if matches!(outcome, Err(Failure::Server(_))) {
        roll_back(session).await;
    }
    outcome.map_err(|failure| commit_error(table, &failure))
}

/// Ends the session's transaction without a trace; a session that cannot do so is closed, and then the
/// server does it.
pub(super) async fn roll_back(session: &Session) {
    session.count_round_trip();
    if session.command("ROLLBACK").await.is_err() {
        session.abandon();
    }
}
