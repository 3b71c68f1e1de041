// SPDX-License-Identifier: MIT OR Apache-2.0
//! A payment, saved at a slow bank by write-through, write-behind and write-around; then at a bank that fails.
//!
//! ```sh
//! cargo run --example payment     # brings its own bank: 2 s to save, 1.5 s to read
//! ```
//!
//! | file | what it is |
//! |---|---|
//! | `client` | who pays |
//! | `payments` | the resource manager; cache and data accessor are its configuration |
//! | `story` | what happens, step by step |

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people to watch")]
#![allow(clippy::disallowed_methods, reason = "a program reads its environment and takes its time")]

mod client;
mod payment;
mod payments;
mod story;

use std::process::ExitCode;

use payments::Result;
use story::Story;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("payment: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let story = Story::from_environment()?;
    story.write_through().await?;
    story.write_behind().await?;
    story.write_around().await?;
    story.write_through_while_the_bank_declines().await?;
    story.write_behind_while_the_bank_declines().await
}
