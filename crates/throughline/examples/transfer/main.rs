// SPDX-License-Identifier: MIT OR Apache-2.0
//! Money between two accounts, in one transaction over the database and the cache.
//!
//! ```sh
//! export DATABASE_URL=mysql://USER:PASSWORD@127.0.0.1:3306/DATABASE MEMCACHED=127.0.0.1:11211
//! cargo run --example transfer
//! ```
//!
//! | file | what it is |
//! |---|---|
//! | `bank` | `transfer`, with what can happen on the way |
//! | `main` | a caller |

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people to watch")]
#![allow(clippy::disallowed_methods, reason = "a program reads its environment")]

mod bank;

use std::process::ExitCode;

use bank::{Bank, Result};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("transfer: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let memcached = std::env::var("MEMCACHED").unwrap_or_else(|_| "127.0.0.1:11211".to_owned());
    let bank = Bank::open(&memcached).await?;
    println!("{}", bank.balances().await?);
    for (from, to, amount) in [(1, 2, 30), (2, 1, 500), (1, 9, 5)] {
        let outcome = bank.transfer(from, to, amount).await?;
        println!("{amount} from {from} to {to}: {outcome}");
        println!("{}", bank.balances().await?);
    }
    bank.gift_by_sql(2, 7).await?;
    println!("7 to 2 by SQL of our own");
    println!("{}", bank.balances().await?);
    Ok(())
}
