// SPDX-License-Identifier: MIT OR Apache-2.0
//! `throughline-sim model`.

use std::io::{self, Write};

use clap::Args;
use throughline_core::{Error, ErrorKind, Result};
use throughline_sim::model::{Case, Scope, cases, line, trace};

#[derive(Debug, Args)]
pub(super) struct ModelArgs {
    /// Search the large configurations too: minutes, and some gigabytes.
    #[arg(long)]
    full: bool,
    /// One model alone: protocol, outbox, fence or behind.
    #[arg(long, value_parser = ["protocol", "outbox", "fence", "behind"])]
    only: Option<String>,
    /// Leave the counterexamples out.
    #[arg(long)]
    no_traces: bool,
}

/// Searches, and prints each finding as it comes; whether every verdict was the due one.
pub(super) fn model(args: &ModelArgs) -> Result<bool> {
    let mut all_due = true;
    let cases = cases();
    let is_wanted = |case: &&Case| {
        (args.full || case.scope == Scope::Quick)
            && args.only.as_deref().is_none_or(|only| case.model == only)
    };
    for case in cases.iter().filter(is_wanted) {
        let finding = (case.run)();
        let steps = if args.no_traces { String::new() } else { trace(&finding) };
        write!(io::stdout(), "{}\n{steps}", line(case, &finding)).map_err(|error| {
            Error::new(ErrorKind::Other, "print the table", "standard output").with_cause(error)
        })?;
        all_due &= finding.verdict == case.expected;
    }
    Ok(all_due)
}
