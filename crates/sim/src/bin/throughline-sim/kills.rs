// SPDX-License-Identifier: MIT OR Apache-2.0
//! `throughline-sim kills`.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use throughline_core::{Error, ErrorKind, Result};
use throughline_sim::database::{Kind, Server};
use throughline_sim::kills::{self, Keeping, KillsReport, KillsTable, Plan};
use throughline_testkit::DaemonOptions;

#[derive(Debug, Args)]
pub(super) struct KillsArgs {
    /// How often the daemon is killed; the database in every fifth round, too.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    rounds: u64,
    /// What is random follows from it, but for the order in which processes run.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// `mariadb` or `postgres`.
    #[arg(long, default_value = "mariadb", value_parser = super::database)]
    database: Kind,
    /// Run the controls as well, which must be convicted: a queue in memory, and a journal whose watermarks are forgotten.
    #[arg(long)]
    controls: bool,
    /// The daemon's program; default: `throughline` beside this one.
    #[arg(long)]
    program: Option<PathBuf>,
}

/// Kills a daemon that writes behind again and again, and judges; whether all came out as it must.
pub(super) fn kills(args: &KillsArgs) -> Result<bool> {
    let failed =
        |error: io::Error| Error::new(ErrorKind::Other, "kill a daemon", "runtime").with_cause(error);
    let runtime = tokio::runtime::Runtime::new().map_err(failed)?;
    let reports = runtime.block_on(run(args))?;
    show(&reports)
        .map_err(|error| Error::new(ErrorKind::Other, "print the table", "standard output").with_cause(error))
}

async fn run(args: &KillsArgs) -> Result<Vec<KillsReport>> {
    let program = args.program.clone().unwrap_or_else(DaemonOptions::built_program);
    let plan = Plan { rounds: args.rounds, seed: args.seed, program };
    let server = Server::start(args.database);
    let controls = if args.controls { Keeping::CONTROLS.as_slice() } else { &[] };
    let mut reports = Vec::new();
    for keeping in [Keeping::Journal].iter().chain(controls) {
        let report = Box::pin(kills::run(&server, *keeping, &plan)).await?;
        let _ = writeln!(io::stderr(), "{keeping}: {}", report.verdict());
        reports.push(report);
    }
    Ok(reports)
}

/// Prints the table, and examples of what was found; whether all came out as it must.
fn show(reports: &[KillsReport]) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    write!(out, "{}", KillsTable(reports))?;
    for report in reports.iter().filter(|report| !report.is_due()) {
        writeln!(out, "\n{}: {}", report.keeping, report.verdict())?;
        for example in report.findings.examples() {
            writeln!(out, "  {example}")?;
        }
        if let Some(log) = &report.log {
            writeln!(out, "{log}")?;
        }
    }
    Ok(reports.iter().all(KillsReport::is_due))
}
