// SPDX-License-Identifier: MIT OR Apache-2.0
//! `throughline-sim`: searches the models, and runs daemons and controls against real servers under faults.

mod chaos;
mod journal;
mod kills;
mod model;
mod scenarios;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use throughline_sim::database::Kind;

/// Looks for stale, lost and foreign values in what callers are answered.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run daemons over real memcached and a real database under faults; exit 1 when a promise breaks.
    Chaos(chaos::ChaosArgs),
    /// Take the power away from a journal of accepted writes again and again; exit 1 when one is lost, or a control keeps all.
    Journal(journal::JournalArgs),
    /// Kill a daemon that writes behind, and its database, again and again under load; exit 1 when an accepted write is lost or
    /// applied twice, or a control is not convicted.
    Kills(kills::KillsArgs),
    /// Search every order of steps and faults of the protocol's models; exit 1 when a verdict is not the due one.
    Model(model::ModelArgs),
    /// Run the engine in worlds of paused time that each follow from a seed; exit 1 when a promise breaks.
    Scenarios(scenarios::ScenarioArgs),
}

fn main() -> ExitCode {
    let good = match Cli::parse().command {
        Command::Chaos(args) => chaos::chaos(&args),
        Command::Journal(args) => journal::journal(&args),
        Command::Kills(args) => kills::kills(&args),
        Command::Model(args) => model::model(&args),
        Command::Scenarios(args) => scenarios::scenarios(&args),
    };
    match good {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => complain(&error),
    }
}

/// A database by the name that options call it.
fn database(name: &str) -> Result<Kind, String> {
    Kind::from_name(name).ok_or_else(|| "there are mariadb and postgres".to_owned())
}

fn complain(error: &dyn std::error::Error) -> ExitCode {
    let _ = writeln!(io::stderr(), "throughline-sim: {error}");
    if let Some(cause) = error.source() {
        let _ = writeln!(io::stderr(), "  because: {cause}");
    }
    ExitCode::from(2)
}
