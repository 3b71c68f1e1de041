// SPDX-License-Identifier: MIT OR Apache-2.0
//! `throughline-sim journal`.

use std::io::{self, Write};

use clap::Args;
use throughline_core::{Error, ErrorKind, Result};
use throughline_sim::power::{self, Keeping};

#[derive(Debug, Args)]
pub(super) struct JournalArgs {
    /// What is random follows from it, but for the order of threads.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Losses of power.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    rounds: u64,
}

/// Loses the power again and again, and shows that the controls lose writes; whether all came out as it must.
pub(super) fn journal(args: &JournalArgs) -> Result<bool> {
    let failed = |error: io::Error| Error::new(ErrorKind::Other, "lose the power", "disk").with_cause(error);
    let runtime = tokio::runtime::Runtime::new().map_err(failed)?;
    let mut good = true;
    for keeping in Keeping::ALL {
        let report = runtime.block_on(power::run(keeping, args.rounds, args.seed));
        let is_due = (report.breaches() == 0) == keeping.must_hold();
        good &= is_due;
        let verdict = match (keeping.must_hold(), is_due) {
            (true, true) => "kept",
            (false, true) => "convicted",
            (_, false) => "FAILED",
        };
        writeln!(io::stdout(), "{keeping}: {report:?}: {verdict}").map_err(failed)?;
    }
    Ok(good)
}
