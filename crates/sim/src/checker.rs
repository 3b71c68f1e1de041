// SPDX-License-Identifier: MIT OR Apache-2.0
//! Compares what callers were answered with the order in which the database committed.
//!
//! [`check`] is exact for a register whose order of writes is known, and takes O(n log n) time: it replays
//! all workers by time and keeps two numbers per key, the newest version acknowledged and the newest version
//! that anybody has been shown. [`wgl`] decides the same question without the database's word, slower, and
//! so finds errors in the audit table itself.

mod breach;
mod convergence;
mod floor;
mod phases;
mod replay;
mod session;
mod truth;
mod verdict;
pub mod wgl;

#[cfg(test)]
mod tests;

use std::io;
use std::time::Duration;

use crate::history::{History, Kind, Outcome};

pub use breach::{Breach, Finding};
pub use convergence::{Probe, differing};
pub use phases::{Phase, phases};
pub use truth::AuditRow;
pub use verdict::{Rate, Verdict};

use floor::Floor;
use replay::{Event, replay};
use session::Session;
use truth::Truth;

/// What is promised to callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promised {
    /// Everything: [`Breach`].
    Linear,
    /// Another program writes as well. No answer is older than a write through the system that was acknowledged
    /// before, nor than a write of the other program that is older than the bound; answers may go backward.
    Bound {
        /// Who the other program is in the history.
        outsider: u32,
        /// How late its writes may be seen.
        bound: Duration,
    },
}

/// Checks every operation of `history` against `audit`, the database's order of commits (by `seq`).
///
/// # Errors
/// When the history cannot be read, or a worker's operations overlap.
pub fn check(history: &History, audit: &[AuditRow], promised: Promised) -> io::Result<Verdict> {
    let mut verdict = Verdict::default();
    let truth = Truth::build(history, audit, &mut verdict)?;
    let mut floor = Floor::new(&truth, promised);
    let mut session = Session::new(&truth);
    replay(history, |event| match event {
        Event::Begin(lane, operation) => {
            verdict.count_operation(operation);
            floor.begin(lane, operation);
        }
        Event::End(lane, operation) => {
            if operation.kind == Kind::Get || operation.outcome == Outcome::Ok {
                verdict.latency(operation);
            }
            floor.end(lane, operation, &mut verdict);
            if promised == Promised::Linear {
                session.end(operation, &mut verdict);
            }
        }
    })?;
    Ok(verdict)
}
