// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program as a user meets it.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, also in what its tests share"
)]

mod behind;
mod bounded;
mod commands;
mod demo;
mod found;
mod init;
mod mistakes;
mod outbox;
mod postgres;
mod servers;

use std::process::{Command, Output};

use throughline_testkit::{Daemon, DaemonOptions};

/// The program with these arguments, to its end.
fn run(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_throughline"));
    command.args(args).env_remove("THROUGHLINE_PASSWORD").env("NO_COLOR", "1").output().unwrap()
}

/// `throughline serve` with ports of its own.
fn serve(args: &[&str]) -> Daemon {
    let ports = ["--http", "127.0.0.1:0", "--memcached", "127.0.0.1:0"];
    let args = [&["serve"], args, &ports].concat();
    Daemon::start(DaemonOptions::new(env!("CARGO_BIN_EXE_throughline"), &args))
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Standard error with its lines joined, since errors are wrapped to the terminal's width.
fn stderr(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let words = text.split_whitespace().filter(|word| !matches!(*word, "│" | "×" | "help:"));
    words.collect::<Vec<_>>().join(" ")
}
