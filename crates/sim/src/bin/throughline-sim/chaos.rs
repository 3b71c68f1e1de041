// SPDX-License-Identifier: MIT OR Apache-2.0
//! `throughline-sim chaos`.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use throughline_core::{Error, ErrorKind, Result};
use throughline_sim::Workload;
use throughline_sim::chaos::{Arena, Chaos, Control};
use throughline_sim::database::Kind;
use throughline_sim::faults::Fault;
use throughline_sim::report::{Judgement, Report, Table};
use throughline_testkit::DaemonOptions;

/// A control needs no longer to show its races.
const CONTROL_SECONDS_MAX: u64 = 20;
/// Longer than the life of marks (10 s) and leases (5 s).
const QUIET_STRICT: Duration = Duration::from_secs(11);
/// The pairs of a matrix.
const PAIRS: [[Fault; 2]; 3] = [
    [Fault::DaemonKill, Fault::CacheDelete],
    [Fault::CachePartition, Fault::CommitLost],
    [Fault::DaemonPause, Fault::CacheKill],
];
/// Controls have neither.
const QUIET_CONTROL: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
pub(super) struct ChaosArgs {
    /// How many daemons share the cache and the database.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=16))]
    daemons: u32,
    /// How long the workers of each system work.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Repeats the choices of an earlier run; printed at the start.
    #[arg(long)]
    seed: Option<u64>,
    /// How many keys; few keys meet more races.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    keys: u32,
    /// How many callers at once.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=256))]
    workers: u32,
    /// How many calls of a hundred are writes.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=99))]
    write_percent: u32,
    /// `mariadb` or `postgres`.
    #[arg(long, default_value = "mariadb", value_parser = super::database)]
    database: Kind,
    /// How many memcached servers.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=8))]
    caches: u32,
    /// Another program changes rows by SQL; so many milliseconds later at most, callers must see it.
    #[arg(long)]
    outside_bound_ms: Option<u64>,
    /// Every fault alone, and three pairs, each for `--seconds`.
    #[arg(long)]
    matrix: bool,
    /// `all` (but database-kill), `none`, or a list such as `daemon-kill,cache-delete`.
    #[arg(long, default_value = "all", value_parser = faults)]
    faults: Faults,
    /// Run the controls as well, which must be convicted.
    #[arg(long)]
    controls: bool,
    /// Run nothing but the controls.
    #[arg(long)]
    only_controls: bool,
    /// The daemon's program; default: `throughline` beside this one.
    #[arg(long)]
    program: Option<PathBuf>,
}

/// The kinds of faults chosen on the command line.
#[derive(Clone, Debug)]
struct Faults(Vec<Fault>);

fn faults(list: &str) -> std::result::Result<Faults, String> {
    let mut chosen = Vec::new();
    for name in list.split(',').filter(|name| *name != "none") {
        match Fault::from_name(name) {
            Some(fault) => chosen.push(fault),
            None if name == "all" => {
                chosen.extend(Fault::ALL.into_iter().filter(|f| *f != Fault::DatabaseKill))
            }
            None => {
                let names = Fault::ALL.map(Fault::as_str).join(", ");
                return Err(format!("no fault is called `{name}`; there are all, none, {names}"));
            }
        }
    }
    Ok(Faults(chosen))
}

/// Runs what was asked for; whether everything came out as it must.
pub(super) fn chaos(args: &ChaosArgs) -> Result<bool> {
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Error::new(ErrorKind::Other, "start a runtime", "tokio").with_cause(error))?;
    let reports = runtime.block_on(run(args))?;
    show(&reports)
        .map_err(|error| Error::new(ErrorKind::Other, "print the table", "standard output").with_cause(error))
}

async fn run(args: &ChaosArgs) -> Result<Vec<Report>> {
    let seed = args.seed.unwrap_or_else(arbitrary_seed);
    let _ = writeln!(io::stdout(), "seed {seed}");
    let arena = Arena::start(args.database);
    let mut reports = Vec::new();
    if !args.only_controls {
        for (index, faults) in cells(args).into_iter().enumerate() {
            let chaos = plan(args, seed, args.seconds, QUIET_STRICT, faults);
            let cell = arena.cell(&format!("daemons{index}"), &chaos).await?;
            let program = args.program.clone().unwrap_or_else(DaemonOptions::built_program);
            let daemons = cell.daemons(program, args.daemons as usize, &chaos)?;
            let report = Box::pin(cell.run(&daemons, &chaos)).await?;
            if report.judgement() != Judgement::Kept {
                let _ = writeln!(io::stderr(), "{}", daemons.logs().join("\n"));
            }
            let _ = writeln!(io::stderr(), "{:?}: {}", chaos.faults, report.judgement());
            reports.push(report);
        }
    }
    if args.controls || args.only_controls {
        let seconds = args.seconds.min(CONTROL_SECONDS_MAX);
        let chaos =
            Chaos { outside_bound: None, ..plan(args, seed, seconds, QUIET_CONTROL, args.faults.0.clone()) };
        for control in Control::ALL {
            let cell = arena.cell(&format!("{control:?}").to_lowercase(), &chaos).await?;
            let system = cell.control(control, seed);
            reports.push(Box::pin(cell.run(system.as_ref(), &chaos)).await?);
        }
    }
    Ok(reports)
}

/// The faults of each run.
fn cells(args: &ChaosArgs) -> Vec<Vec<Fault>> {
    if !args.matrix {
        return vec![args.faults.0.clone()];
    }
    Fault::ALL.into_iter().map(|fault| vec![fault]).chain(PAIRS.map(Vec::from)).collect()
}

fn plan(args: &ChaosArgs, seed: u64, seconds: u64, quiet: Duration, faults: Vec<Fault>) -> Chaos {
    let workload = Workload {
        key_count: args.keys,
        worker_count: args.workers,
        write_percent: args.write_percent,
        duration: Duration::from_secs(seconds),
        seed,
    };
    let outside_bound = args.outside_bound_ms.map(Duration::from_millis);
    Chaos {
        database: args.database,
        cache_count: args.caches as usize,
        workload,
        faults,
        quiet,
        outside_bound,
    }
}

/// Chance from outside: the standard library's hashers are keyed by the operating system's.
fn arbitrary_seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Prints the table, and examples of what failed; whether every run came out as it must.
fn show(reports: &[Report]) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    write!(out, "{}", Table::new(reports))?;
    let mut good = true;
    for report in reports {
        if let Judgement::Failed(reason) = report.judgement() {
            good = false;
            writeln!(out, "\n{}: {reason}", report.system)?;
            for example in report.examples() {
                writeln!(out, "  {example}")?;
            }
        }
    }
    Ok(good)
}
