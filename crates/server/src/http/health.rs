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
pub(crate) async fn ready(State(door): State<Shared>) -> Result<&'static str, Problem> {
    let reasons = door.readiness.reasons();
    if reasons.is_empty() {
        return Ok("ready\n");
    }
    Err(Problem::new(ProblemKind::NotReady, reasons.join("; ")))
}
