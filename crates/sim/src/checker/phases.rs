// SPDX-License-Identifier: MIT OR Apache-2.0
//! What callers got before, during and after the faults.

use std::io;
use std::time::Duration;

use crate::history::{History, Kind, Outcome, ServedFrom};

/// The figures of one part of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phase {
    /// Reads that were answered.
    pub reads: u64,
    /// Writes that were acknowledged.
    pub writes: u64,
    /// Operations that failed or whose outcome nobody knows.
    pub failures: u64,
    /// Reads that say who answered.
    pub attributed: u64,
    /// Those answered by a cache.
    pub hits: u64,
}

impl Phase {
    /// The share of hits, of the reads that say who answered.
    pub fn hit_ratio(&self) -> Option<f64> {
        (self.attributed > 0).then(|| self.hits as f64 / self.attributed as f64)
    }
}

/// The figures before, during and after the faults, which came between these two moments.
///
/// # Errors
/// When the history cannot be read.
pub fn phases(history: &History, faults: (Duration, Duration)) -> io::Result<[Phase; 3]> {
    let mut phases = [Phase::default(); 3];
    for operation in history.operations()? {
        let operation = operation?;
        let began = Duration::from_nanos(operation.begin_ns);
        let phase = &mut phases[usize::from(began > faults.0) + usize::from(began > faults.1)];
        match (operation.outcome, operation.kind) {
            (Outcome::Ok, Kind::Get) => {
                phase.reads += 1;
                phase.attributed += u64::from(operation.served != ServedFrom::Unsaid);
                phase.hits += u64::from(matches!(operation.served, ServedFrom::L1 | ServedFrom::L2));
            }
            (Outcome::Ok, Kind::Put | Kind::Delete) => phase.writes += 1,
            (Outcome::Fail | Outcome::Unknown, _) => phase.failures += 1,
        }
    }
    Ok(phases)
}
