// SPDX-License-Identifier: MIT OR Apache-2.0
//! The figures of one or several runs as a table, and the judgement.

mod table;

use std::fmt;
use std::time::Duration;

use crate::chaos::Load;
use crate::checker::wgl::Decision;
use crate::checker::{Breach, Phase, Probe, Verdict};
use crate::faults::Counts;
use crate::history::Operation;

pub(crate) use table::Columns;
pub use table::Table;

/// How many examples of one kind are printed.
const EXAMPLES_MAX: usize = 10;
/// The share of the hit ratio before the faults that must be there again after them.
const RECOVERED_MIN: f64 = 0.8;
/// Fewer reads than this in a part of a run say nothing about a ratio.
const READS_MIN: u64 = 2_000;
/// How many statements each operation under way may cost the database in any five seconds: every read and every
/// write may reach it under faults, each is a handful of statements, and some are tried twice.
const CALLS_MAX: f64 = 10.0;

/// What one run showed.
#[derive(Debug)]
pub struct Report {
    /// The system's name.
    pub system: String,
    /// Whether it promises the level strict.
    pub is_strict: bool,
    /// The faults injected.
    pub injections: Counts,
    /// For each partition: how long a caller of the daemon that was cut off had to wait until every key was
    /// written again, in nanoseconds; `None` when the partition ended first.
    pub first_writes: Vec<Option<u64>>,
    /// What callers got before, during and after the faults.
    pub phases: [Phase; 3],
    /// When callers were served from the caches again.
    pub hits_back: HitsBack,
    /// How hard the database worked.
    pub load: Option<Load>,
    /// What the check against the audit order found.
    pub verdict: Verdict,
    /// What the search without the audit order found, per key, with the number of operations.
    pub decisions: Vec<(usize, Decision)>,
    /// How many looks were taken when everything was quiet.
    pub probe_count: usize,
    /// Those that differed from the database.
    pub differing: Vec<Probe>,
}

/// When callers were served from the caches again as they were before the faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HitsBack {
    /// Before the end of the run; or too little was read to tell.
    Within,
    /// So long after the faults, at most.
    After(Duration),
    /// Not within the longest time that a server is kept out.
    Never,
}

impl HitsBack {
    /// The ratio that must come back, if it had not when the run ended.
    pub(crate) fn ratio_min(phases: &[Phase; 3]) -> Option<f64> {
        let [before, _, after] = phases;
        let ratio_min = before.hit_ratio()? * RECOVERED_MIN;
        let is_said = before.attributed >= READS_MIN && after.attributed >= READS_MIN;
        (is_said && after.hit_ratio()? < ratio_min).then_some(ratio_min)
    }
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
            true if self.hits_back == HitsBack::Never => failed("the hit ratio did not come back"),
            true if self.load.is_some_and(|load| load.per_operation > CALLS_MAX) => {
                failed("the database was not protected")
            }
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
