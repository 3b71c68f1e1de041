// SPDX-License-Identifier: MIT OR Apache-2.0
//! `GET /healthz` and `GET /readyz`: alive, and wanting requests.

use axum::extract::State;

use super::door::Shared;
use super::problem::{Problem, ProblemKind};

/// Answers as long as the daemon is alive. It needs no token.
pub(crate) async fn alive() -> &'static str {
    "alive\n"
}

/// Answers whether the daemon wants requests, or every reason why not.
///
/// It wants them as long as any backend can answer: all daemons share a database and a cache, and if its absence made
/// them unready, all would be taken out at once, with the hits that they could still serve. What is missing is told.
pub(crate) async fn ready(State(door): State<Shared>) -> Result<String, Problem> {
    let reasons = door.readiness.reasons();
    if !reasons.is_empty() {
        return Err(Problem::new(ProblemKind::NotReady, reasons.join("; ")));
    }
    let ailments = door.throughline.ailments();
    if !door.throughline.can_answer() {
        return Err(Problem::new(ProblemKind::NotReady, ailments.join("; ")));
    }
    if ailments.is_empty() {
        return Ok("ready\n".to_owned());
    }
    Ok(format!("ready, degraded: {}\n", ailments.join("; ")))
}
