// SPDX-License-Identifier: MIT OR Apache-2.0
//! The end of a transaction that the worker holds: each first statement began or joined it, as autocommit is off.

use std::time::Duration;

use throughline_core::Result;
use tokio::sync::oneshot;

use super::client::Session;
use super::map::{Failure, commit_error, statement_error};
use crate::remote::{Decision, decided};

/// Waits for the decision on the session's transaction, at most `life`, and carries it out; whether the
/// transaction is known to be committed.
pub(super) async fn settle(
    session: &mut Session,
    table: &str,
    decision: oneshot::Receiver<Decision>,
    life: Duration,
) -> bool {
    match decided(decision, life).await {
        Some(Decision::Commit(reply)) => {
            let outcome = commit(session, table).await;
            let committed = outcome.is_ok();
            // Nobody may be waiting any more; the commit took place all the same.
            let _ = reply.send(outcome);
            committed
        }
        Some(Decision::RollBack(reply)) => {
            let error = |failure| statement_error("roll a write back", table, &failure, &|_| false);
            let _ = reply.send(undo(session).await.map_err(error));
            false
        }
        None => {
            roll_back(session).await;
            false
        }
    }
}

pub(super) async fn commit(session: &mut Session, table: &str) -> Result<()> {
    let outcome = session.command("COMMIT").await;
    if matches!(outcome, Err(Failure::Server { .. })) {
        roll_back(session).await;
    }
    outcome.map(drop).map_err(|failure| commit_error(table, &failure))
}

/// Ends the session's transaction without a trace; a session that cannot do so is closed, and then the
/// server does it.
pub(super) async fn roll_back(session: &mut Session) {
    let _ = undo(session).await;
}

async fn undo(session: &mut Session) -> std::result::Result<(), Failure> {
    let outcome = session.command("ROLLBACK").await;
    if outcome.is_err() {
        // The next order must not join, and commit, what is still open.
        session.abandon();
    }
    outcome.map(drop)
}
