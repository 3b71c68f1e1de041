// SPDX-License-Identifier: MIT OR Apache-2.0
//! `throughline-bank`: the bank as a program, until it is interrupted.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a program, and tells what happens")]

use std::process::ExitCode;
use std::sync::Arc;

use throughline_bank::{Bank, BankOptions};

const USAGE: &str = "usage: throughline-bank [--port N] [--save-ms N] [--read-ms N]

A slow bank: PUT, GET and DELETE /payments/ID, GET /payments shows what it has saved,
POST /_bank/decline?ms=10000 makes it decline everything for a while.";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Some(options) = options(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let bank = match Bank::start(options).await {
        Ok(bank) => bank,
        Err(error) => {
            eprintln!("the bank cannot open: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("the bank is open at {}", bank.url());
    match tokio::signal::ctrl_c().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn options(mut arguments: impl Iterator<Item = String>) -> Option<BankOptions> {
    let mut options =
        BankOptions { told: Some(Arc::new(|event| println!("{event}"))), ..BankOptions::default() };
    while let Some(name) = arguments.next() {
        let number = arguments.next()?;
        match name.as_str() {
            "--port" => options.port = number.parse().ok()?,
            "--save-ms" => options.save_ms = number.parse().ok()?,
            "--read-ms" => options.read_ms = number.parse().ok()?,
            _ => return None,
        }
    }
    Some(options)
}
