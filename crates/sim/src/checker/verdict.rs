// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a check found.

use std::fmt;

use super::breach::{Breach, Finding};
use crate::histogram::Histogram;
use crate::history::{Kind, Operation, Outcome, ServedFrom};

/// How many findings are kept as examples per breach.
const EXAMPLES_MAX: usize = 3;

/// The figures of one history.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Reads that were answered.
    pub reads: u64,
    /// Writes that were acknowledged.
    pub acknowledged: u64,
    /// Operations of which the system said that it had done nothing.
    pub failed: u64,
    /// Operations whose outcome nobody knows.
    pub unknown: u64,
    /// Reads answered by a tier or the shared cache, of those that say who answered.
    pub hits: u64,
    /// Reads that say who answered.
    pub attributed: u64,
    /// Versions that the database committed.
    pub versions: u64,
    /// For each read older than the newest version then known: how long that version had been known.
    pub stale_age: Histogram,
    /// How long answered reads took.
    pub read_latency: Histogram,
    /// How long acknowledged writes took.
    pub write_latency: Histogram,
    /// The first findings of each kind.
    pub examples: Vec<Finding>,
    counts: [u64; Breach::ALL.len()],
}

impl Verdict {
    /// How often this promise was broken.
    pub fn count(&self, breach: Breach) -> u64 {
        self.counts[breach as usize]
    }

    /// How often any promise was broken. A stale read may break several at once.
    pub fn breaches(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The same as a share of the operations that could have broken it.
    pub fn rate(&self, breach: Breach) -> Rate {
        let of = match breach {
            Breach::Lost | Breach::Duplicated | Breach::Misordered => self.acknowledged,
            Breach::RefusedButWritten => self.failed,
            _ => self.reads,
        };
        Rate { count: self.count(breach), of }
    }

    pub(super) fn found(&mut self, finding: Finding) {
        let count = &mut self.counts[finding.breach as usize];
        *count += 1;
        if *count <= EXAMPLES_MAX as u64 {
            self.examples.push(finding);
        }
    }

    pub(super) fn count_operation(&mut self, operation: &Operation) {
        match (operation.outcome, operation.kind) {
            (Outcome::Ok, Kind::Get) => {
                self.reads += 1;
                self.attributed += u64::from(operation.served != ServedFrom::Unsaid);
                self.hits += u64::from(matches!(operation.served, ServedFrom::L1 | ServedFrom::L2));
            }
            (Outcome::Ok, Kind::Put | Kind::Delete) => self.acknowledged += 1,
            (Outcome::Fail, _) => self.failed += 1,
            (Outcome::Unknown, _) => self.unknown += 1,
        }
    }

    pub(super) fn latency(&mut self, operation: &Operation) {
        let (Outcome::Ok, Some(end_ns)) = (operation.outcome, operation.end_ns) else {
            return;
        };
        let histogram = match operation.kind {
            Kind::Get => &mut self.read_latency,
            Kind::Put | Kind::Delete => &mut self.write_latency,
        };
        histogram.add(end_ns - operation.begin_ns);
    }
}

/// A count among `of` trials. Shows the upper bound of the rate, at 95 % confidence, when it found none:
/// 3/n, the "rule of three" (the solution of (1 − p)^n = 0.05).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many were found.
    pub count: u64,
    /// Among how many.
    pub of: u64,
}

impl Rate {
    /// The 95 % upper bound of the rate when none was found; `None` when some were found or none was tried.
    pub fn upper_bound(self) -> Option<f64> {
        (self.count == 0 && self.of > 0).then(|| (3.0 / self.of as f64).min(1.0))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.upper_bound() {
            Some(bound) => write!(f, "0 (<{bound:.1e})"),
            None if self.of == 0 => write!(f, "{} (no trial)", self.count),
            None => write!(f, "{}", self.count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Rate;

    #[test]
    fn zero_is_shown_with_its_upper_bound() {
        assert_eq!(Rate { count: 0, of: 3_000_000 }.to_string(), "0 (<1.0e-6)");
        assert_eq!(Rate { count: 2, of: 10 }.to_string(), "2");
        assert_eq!(Rate { count: 0, of: 0 }.to_string(), "0 (no trial)");
        assert_eq!(Rate { count: 0, of: 1 }.upper_bound(), Some(1.0));
    }
}
