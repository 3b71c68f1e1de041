// SPDX-License-Identifier: MIT OR Apache-2.0
//! One column per run, one row per figure.

use std::fmt;

use super::{HitsBack, Report};
use crate::checker::wgl::Decision;
use crate::checker::{Breach, Phase};
use crate::faults::Fault;
use crate::histogram::Histogram;

/// Shows reports side by side.
#[derive(Debug)]
pub struct Table<'a>(&'a [Report]);

impl<'a> Table<'a> {
    /// A table of these runs.
    pub fn new(reports: &'a [Report]) -> Self {
        Self(reports)
    }

    fn rows(&self) -> Vec<(String, Vec<String>)> {
        let mut rows: Vec<(String, Vec<String>)> = Vec::new();
        let mut row = |name: &str, figure: &dyn Fn(&Report) -> String| {
            rows.push((name.to_owned(), self.0.iter().map(figure).collect()));
        };
        row("system", &|report| report.system.clone());
        row("reads", &|report| report.verdict.reads.to_string());
        row("writes acknowledged", &|report| report.verdict.acknowledged.to_string());
        row("failed / unknown", &|report| format!("{} / {}", report.verdict.failed, report.verdict.unknown));
        let is_injected = |fault: &Fault| self.0.iter().any(|report| report.injections.contains_key(fault));
        for fault in Fault::ALL.into_iter().filter(is_injected) {
            row(fault.as_str(), &|report| report.injections.get(&fault).copied().unwrap_or(0).to_string());
        }
        for breach in Breach::ALL {
            row(breach.as_str(), &|report| report.verdict.rate(breach).to_string());
        }
        row("search without audit", &searched);
        row("differing when quiet", &|report| {
            format!("{} of {}", report.differing.len(), report.probe_count)
        });
        row("stale age p50/p99/max", &|report| times(&report.verdict.stale_age));
        row("read p50/p99/max", &|report| times(&report.verdict.read_latency));
        row("write p50/p99/max", &|report| times(&report.verdict.write_latency));
        row("hits", &hit_ratio);
        row("hits before/during/after", &phase_ratios);
        row("hits back after the faults", &|report| match report.hits_back {
            HitsBack::Within => "within the run".to_owned(),
            HitsBack::After(time) => format!("{} s at most", time.as_secs()),
            HitsBack::Never => "never".to_owned(),
        });
        row("failures before/during/after", &|report| {
            report.phases.map(|phase| phase.failures.to_string()).join("/")
        });
        row("database calls/s before/peak/after", &|report| {
            report.load.map_or("unknown".to_owned(), |load| {
                format!("{:.0}/{:.0}/{:.0}", load.before, load.peak, load.after)
            })
        });
        row("database calls per operation, at most", &|report| {
            report.load.map_or("unknown".to_owned(), |load| format!("{:.1}", load.per_operation))
        });
        if self.0.iter().any(|report| !report.first_writes.is_empty()) {
            row("all keys written after partition", &first_writes);
        }
        row("judgement", &|report| report.judgement().to_string());
        rows
    }
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Columns(self.rows()).fmt(f)
    }
}

/// Rows of a name and as many cells as there are columns.
pub(crate) struct Columns(pub(crate) Vec<(String, Vec<String>)>);

impl fmt::Display for Columns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(rows) = self;
        let name_len = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let width = |column: usize| rows.iter().map(|(_, cells)| cells[column].chars().count()).max();
        for (name, cells) in rows {
            write!(f, "{name:name_len$}")?;
            for (column, cell) in cells.iter().enumerate() {
                write!(f, "  {cell:>width$}", width = width(column).unwrap_or(0))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

fn searched(report: &Report) -> String {
    let operations: usize = report.decisions.iter().map(|(len, _)| len).sum();
    let undecided = report.decisions.iter().filter(|(_, decision)| *decision == Decision::Undecided).count();
    let found = match (report.violated().is_some(), undecided) {
        (true, _) => "violated".to_owned(),
        (false, 0) => "explained".to_owned(),
        (false, _) => format!("{undecided} of {} keys undecided", report.decisions.len()),
    };
    format!("{found} ({operations} ops)")
}

fn hit_ratio(report: &Report) -> String {
    let verdict = &report.verdict;
    match verdict.attributed {
        0 => "unsaid".to_owned(),
        attributed => format!("{:.1} %", 100.0 * verdict.hits as f64 / attributed as f64),
    }
}

fn phase_ratios(report: &Report) -> String {
    let ratio =
        |phase: Phase| phase.hit_ratio().map_or("-".to_owned(), |hits| format!("{:.0}", hits * 100.0));
    format!("{} %", report.phases.map(ratio).join("/"))
}

/// The median and the longest, and how often a partition ended before.
fn first_writes(report: &Report) -> String {
    let mut times: Vec<u64> = report.first_writes.iter().copied().flatten().collect();
    times.sort_unstable();
    let seconds = |ns: u64| format!("{:.1}", ns as f64 / 1e9);
    let never = report.first_writes.len() - times.len();
    let said = match (times.get(times.len() / 2), times.last()) {
        (Some(median), Some(longest)) => format!("{}/{} s", seconds(*median), seconds(*longest)),
        _ => "-".to_owned(),
    };
    if never == 0 { said } else { format!("{said}, {never} never") }
}

fn times(histogram: &Histogram) -> String {
    if histogram.count() == 0 {
        return "none".to_owned();
    }
    let ms = |ns: u64| format!("{:.2}", ns as f64 / 1e6);
    let percentiles = [50, 99].map(|percent| ms(histogram.percentile_ns(percent)));
    format!("{}/{}/{} ms", percentiles[0], percentiles[1], ms(histogram.max_ns()))
}
