// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program `throughline`.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a program speaks to its user and reads its environment"
)]

mod args;
mod check;
mod client;
mod demo;
mod drain;
mod init;
mod journal;
mod out;
mod record;
mod resources;
mod serve;
mod settings;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Args, Command};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = match args.command {
        Command::Serve(args) => serve::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Init(args) => init::run(&args),
        Command::Get(args) => record::get(&args),
        Command::Put(args) => record::put(&args),
        Command::Delete(args) => record::delete(&args),
        Command::Invalidate(args) => record::invalidate(&args),
        Command::Mode(args) => resources::mode(&args),
        Command::Stats(args) => resources::stats(&args),
        Command::Journal(command) => journal::run(&command),
        Command::Drain(args) => drain::run(&args),
        Command::Demo(args) => demo::run(&args),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{:?}", error);
            ExitCode::FAILURE
        }
    }
}
