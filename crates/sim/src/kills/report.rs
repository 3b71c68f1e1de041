// SPDX-License-Identifier: MIT OR Apache-2.0
//! What many kills have shown, as a table.

use std::fmt;
use std::time::Duration;

use super::findings::{Finding, Findings};
use crate::database::Kind;
use crate::report::Columns;

/// How accepted writes are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// In the journal, as the daemon does.
    Journal,
    /// In memory: with each kill the journal is gone, as if it had never been on a disk.
    Memory,
    /// In the journal; with each kill it is forgotten how far it was applied.
    Unmarked,
}

impl Keeping {
    /// The controls, which must be convicted.
    pub const CONTROLS: [Self; 2] = [Self::Memory, Self::Unmarked];

    /// The name of its database.
    pub(super) const fn database(self) -> &'static str {
        match self {
            Self::Journal => "journal",
            Self::Memory => "memory",
            Self::Unmarked => "unmarked",
        }
    }
}

impl fmt::Display for Keeping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Journal => "journal",
            Self::Memory => "queue in memory",
            Self::Unmarked => "journal without watermarks",
        })
    }
}

/// What many kills have shown.
#[derive(Clone, Debug)]
pub struct KillsReport {
    /// How accepted writes were kept.
    pub keeping: Keeping,
    /// Over which database.
    pub database: Kind,
    /// Kills of the daemon.
    pub rounds: u64,
    /// Kills of the database.
    pub database_kills: u64,
    /// Writes whose acceptance was told.
    pub accepted: u64,
    /// Writes that were answered with anything else.
    pub declined: u64,
    /// Changes of rows of `steps`, of which every write is applied.
    pub applied: u64,
    /// Dead letters that are what was accepted.
    pub letters: u64,
    /// Writes that would have become dead letters, if later ones of their record had not taken their place.
    pub replaced: u64,
    /// What was not as it must be.
    pub findings: Findings,
    /// The end of the daemon's log when something was found first.
    pub log: Option<String>,
    /// The longest that a start after a kill took.
    pub start_max: Duration,
    /// How long all of it took.
    pub took: Duration,
}

impl KillsReport {
    pub(super) fn new(keeping: Keeping, database: Kind) -> Self {
        Self {
            keeping,
            database,
            rounds: 0,
            database_kills: 0,
            accepted: 0,
            declined: 0,
            applied: 0,
            letters: 0,
            replaced: 0,
            findings: Findings::default(),
            log: None,
            start_max: Duration::ZERO,
            took: Duration::ZERO,
        }
    }

    /// Whether it came out as it must: nothing was found, or a control was convicted of its own fault.
    pub fn is_due(&self) -> bool {
        match self.keeping {
            Keeping::Journal => self.findings.count() == 0,
            Keeping::Memory => self.findings.of(Finding::Lost) > 0,
            Keeping::Unmarked => self.findings.of(Finding::Twice) > 0,
        }
    }

    /// The verdict.
    pub fn verdict(&self) -> &'static str {
        match (self.keeping, self.is_due()) {
            (Keeping::Journal, true) => "kept",
            (_, true) => "convicted",
            (_, false) => "FAILED",
        }
    }
}

/// Reports side by side.
#[derive(Debug)]
pub struct KillsTable<'a>(pub &'a [KillsReport]);

impl fmt::Display for KillsTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows: Vec<(String, Vec<String>)> = Vec::new();
        let mut row = |name: &str, figure: &dyn Fn(&KillsReport) -> String| {
            rows.push((name.to_owned(), self.0.iter().map(figure).collect()));
        };
        row("accepted writes are kept in", &|report| report.keeping.to_string());
        row("database", &|report| report.database.as_str().to_owned());
        row("kills of the daemon", &|report| report.rounds.to_string());
        row("kills of the database", &|report| report.database_kills.to_string());
        row("accepted", &|report| report.accepted.to_string());
        row("declined", &|report| report.declined.to_string());
        row("changes told by triggers", &|report| report.applied.to_string());
        for finding in Finding::ALL {
            row(finding.as_str(), &|report| report.findings.of(finding).to_string());
        }
        row("dead letters accounted", &|report| report.letters.to_string());
        row("replaced before they died", &|report| report.replaced.to_string());
        row("longest start, ms", &|report| report.start_max.as_millis().to_string());
        row("seconds", &|report| format!("{:.1}", report.took.as_secs_f64()));
        row("verdict", &|report| report.verdict().to_owned());
        Columns(rows).fmt(f)
    }
}
