// SPDX-License-Identifier: MIT OR Apache-2.0
//! The findings as text.

use super::{Case, Finding};

/// One line of the table.
pub fn line(case: &Case, finding: &Finding) -> String {
    let surprise = if finding.verdict == case.expected { "" } else { "  <== NOT AS EXPECTED" };
    format!(
        "{:<9} {:<66} {:<9} {:<10} {:>10} states {:>7.1} s{surprise}",
        case.model,
        case.name,
        case.promise.as_str(),
        finding.verdict.as_str(),
        finding.state_count,
        finding.took.as_secs_f64(),
    )
}

/// The counterexample, a line per step.
pub fn trace(finding: &Finding) -> String {
    let steps = finding.counterexample.iter().enumerate();
    steps.map(|(index, (step, state))| format!("    {:>2}. {step:<72} {state}\n", index + 1)).collect()
}
