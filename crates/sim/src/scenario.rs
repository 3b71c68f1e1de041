// SPDX-License-Identifier: MIT OR Apache-2.0
//! The engine as it is, in a world that follows from a seed: paused time, delays and losses by chance.
//!
//! Several daemons, each the real `Space`, over one cache server and one source that are far away: what is sent
//! arrives later, in order on one connection, or never, or is carried out and not answered; commits may be
//! decided long after their caller was told that nobody knows. Everything happens on one thread, so one seed is
//! one history, and a seed that fails fails again. The judge is the one that judges real servers.

mod daemon;
mod far_cache;
mod far_source;
mod troubles;

use std::io;

use throughline_core::Rng;
use tokio::runtime::Builder;
use tokio::time::Instant;

use crate::checker::{AuditRow, Promised, Verdict, check};
use crate::history::{History, Operation};
use daemon::World;

/// How many daemons.
const DAEMON_COUNT: u32 = 3;
/// Callers of each that read and write.
const CALLER_COUNT: u32 = 2;
/// Callers of each that only write: enough that writes of one key meet in a daemon.
const WRITER_COUNT: u32 = 2;
/// Calls of each caller.
const CALLS: u64 = 40;

/// An error that is planted to see whether it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    /// The cache stores what is filled although its token is void.
    BlindFill,
    /// The source grants every probe.
    NoProbe,
    /// A mark is confirmed that the server never got.
    LostMark,
}

impl Plant {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::BlindFill, Self::NoProbe, Self::LostMark];
}

/// What one seed led to.
#[derive(Debug)]
pub struct Outcome {
    /// Every call, caller by caller.
    pub operations: Vec<Vec<Operation>>,
    /// Every write in the order of commits.
    pub audit: Vec<AuditRow>,
    /// What the checker found.
    pub verdict: Verdict,
}

/// Lives through the world of `seed`.
///
/// # Errors
/// When a runtime cannot be made, or a history is none.
pub fn run(seed: u64, plant: Option<Plant>) -> io::Result<Outcome> {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let (operations, audit) = runtime.block_on(async {
        let world = World::new(seed, plant, Instant::now());
        let rng = Rng::from_seed(seed.rotate_left(32));
        world.live(DAEMON_COUNT, CALLS, &rng).await
    });
    let history = History::from_operations(operations.iter().flatten().copied());
    let verdict = check(&history, &audit, Promised::Linear)?;
    Ok(Outcome { operations, audit, verdict })
}
