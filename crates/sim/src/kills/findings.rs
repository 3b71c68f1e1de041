// SPDX-License-Identifier: MIT OR Apache-2.0
//! What was not as it must be.

use std::collections::BTreeMap;

/// How many examples are kept.
const EXAMPLES_MAX: usize = 20;

/// A way of not being as it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// A read showed something else than the last accepted write.
    Stale,
    /// An accepted write is not in the database, in the end.
    Lost,
    /// A write was applied more than once.
    Twice,
    /// A row went back to an earlier write.
    Backward,
    /// A row, a write that was applied or a dead letter that nobody was told to be accepted.
    Foreign,
    /// A dead letter is missing, or there is one too many.
    Unaccounted,
    /// A write was still pending when all should have been applied.
    Undrained,
}

impl Finding {
    /// All, in the order of reports.
    pub const ALL: [Self; 7] = [
        Self::Stale,
        Self::Lost,
        Self::Twice,
        Self::Backward,
        Self::Foreign,
        Self::Unaccounted,
        Self::Undrained,
    ];

    /// What reports call it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stale => "stale reads",
            Self::Lost => "lost",
            Self::Twice => "applied twice",
            Self::Backward => "backward",
            Self::Foreign => "never accepted",
            Self::Unaccounted => "dead letters unaccounted",
            Self::Undrained => "not drained",
        }
    }
}

/// What was found, with examples.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    counts: BTreeMap<Finding, u64>,
    examples: Vec<String>,
    /// The round that examples name.
    pub(super) round: u64,
}

impl Findings {
    /// How often this was found.
    pub fn of(&self, finding: Finding) -> u64 {
        self.counts.get(&finding).copied().unwrap_or(0)
    }

    /// How much was found in all.
    pub fn count(&self) -> u64 {
        self.counts.values().sum()
    }

    /// The first of them, with the round in which they were found.
    pub fn examples(&self) -> &[String] {
        &self.examples
    }

    /// Notes `count` of a kind; `tell` says which.
    pub(super) fn note(&mut self, finding: Finding, count: u64, tell: impl FnOnce() -> String) {
        if count == 0 {
            return;
        }
        *self.counts.entry(finding).or_default() += count;
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(format!("round {}: {}: {}", self.round, finding.as_str(), tell()));
        }
    }
}
