// SPDX-License-Identifier: MIT OR Apache-2.0
//! `throughline-sim scenarios`.

use std::io::{self, Write};

use clap::Args;
use throughline_core::{Error, ErrorKind, Result};
use throughline_sim::scenario;

#[derive(Debug, Args)]
pub(super) struct ScenarioArgs {
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How many seeds from there on.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
}

/// Lives through the worlds, and prints every seed that breaks the promise; whether there was none.
pub(super) fn scenarios(args: &ScenarioArgs) -> Result<bool> {
    let failed =
        |error: io::Error| Error::new(ErrorKind::Other, "live through a world", "seed").with_cause(error);
    let (mut calls, mut bad) = (0, 0_u64);
    for seed in args.seed..args.seed.saturating_add(args.count) {
        let outcome = scenario::run(seed, None).map_err(failed)?;
        calls += outcome.operations.iter().map(Vec::len).sum::<usize>();
        if outcome.verdict.breaches() > 0 {
            bad += 1;
            writeln!(io::stdout(), "seed {seed}: {:?}", outcome.verdict.examples).map_err(failed)?;
        }
    }
    writeln!(io::stdout(), "{} worlds, {calls} calls, {bad} broken", args.count).map_err(failed)?;
    Ok(bad == 0)
}
