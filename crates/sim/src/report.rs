// SPDX-License-Identifier: MIT OR Apache-2.0
//! The figures of one or several runs as a table, and the judgement.

mod table;

use std::fmt;

use crate::checker::wgl::Decision;
use crate::checker::{Breach, Probe, Verdict};
use crate::faults::Counts;
use crate::history::Operation;

pub use table::Table;

/// How many examples of one kind are printed.
const EXAMPLES_MAX: usize = 10;

/// What one run showed.
#[derive(Debug)]
pub struct Report {
    /// The system's name.
    pub system: String,
    /// Whether it promises the level strict.
    pub is_strict: bool,
    /// The faults injected.
    pub injections: Counts,
    /// What the check against the audit order found.
    pub verdict: Verdict,
    /// What the search without the audit order found, per key, with the number of operations.
    pub decisions: Vec<(usize, Decision)>,
    /// How many looks were taken when everything was quiet.
    pub probe_count: usize,
    /// Those that differed from the database.
    pub differing: Vec<Probe>,
}

/// Whether a run came out as it must.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// A strict system kept its promise.
    Kept,
    /// A control was convicted, as it must be.
    Convicted,
    /// What must not be.
    Failed(String),
}

impl Report {
    /// Judges the run.
    pub fn judgement(&self) -> Judgement {
        let verdict = &self.verdict;
        let count = |breach| verdict.count(breach);
        let failed = |reason: &str| Judgement::Failed(reason.to_owned());
        if verdict.reads == 0 || verdict.acknowledged == 0 {
            return failed("nothing was read or nothing was written");
        }
        if count(Breach::Lost) > 0 {
            return failed("an acknowledged write is lost");
        }
        if self.violated().is_some() && verdict.breaches() == 0 {
            return failed("the search found what the check against the audit order did not");
        }
        match self.is_strict {
            true if verdict.breaches() > 0 => failed("a promise was broken"),
            true if !self.differing.is_empty() => failed("a stale or missing answer when all was quiet"),
            true => Judgement::Kept,
            // A control reads stale, but it stores what it is given: anything else is an error of ours.
            false if verdict.breaches() > self.stale() => failed("a control broke what it cannot break"),
            false if count(Breach::Linear) == 0 => failed("a control was not convicted"),
            false => Judgement::Convicted,
        }
    }

    /// The first answer that no order of the operations explains.
    pub fn violated(&self) -> Option<Operation> {
        self.decisions.iter().find_map(|(_, decision)| match decision {
            Decision::Violated(operation) => Some(*operation),
            _ => None,
        })
    }

    /// What is needed to look for the cause of a failure.
    pub fn examples(&self) -> Vec<String> {
        let findings = self.verdict.examples.iter().map(ToString::to_string).take(EXAMPLES_MAX);
        let differing = self.differing.iter().take(EXAMPLES_MAX);
        let differing = differing.map(|Probe { through, key, seen }| {
            format!("when all was quiet: key {key} through {through}: {seen:?} is not the row")
        });
        findings.chain(differing).collect()
    }

    fn stale(&self) -> u64 {
        use Breach::{Headline, Linear, OwnWriteUnseen, WentBackward};
        [Headline, Linear, OwnWriteUnseen, WentBackward].map(|breach| self.verdict.count(breach)).iter().sum()
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept => f.write_str("kept"),
            Self::Convicted => f.write_str("convicted"),
            Self::Failed(reason) => write!(f, "FAILED: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests;
