// SPDX-License-Identifier: MIT OR Apache-2.0
//! A service of persons that toggles between cache and database while it runs.
//!
//! ```sh
//! export DATABASE_URL=mysql://USER:PASSWORD@127.0.0.1:3306/DATABASE MEMCACHED=127.0.0.1:11211
//! cargo run --example person         # tells the story
//! cargo run --example person -- -    # takes commands from you
//! ```
//!
//! | file | what it is |
//! |---|---|
//! | `dao` | what hides a store: the database alone, the cache with the database behind it |
//! | `service` | what callers see, and the policy |
//! | `desk` | a caller |
//! | `stores` | what the environment says |

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people to watch")]
#![allow(clippy::disallowed_methods, reason = "a program reads its environment")]

mod dao;
mod desk;
mod person;
mod service;
mod stores;

use std::process::ExitCode;

use dao::{CachedPersonDao, DatabasePersonDao, PersonDao as _, Result};
use desk::Desk;
use stores::Stores;

const STORY: &str = include_str!("story.txt");

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("person: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let stores = Stores::from_environment();
    let database = DatabasePersonDao::connect(&stores).await?;
    let cached = CachedPersonDao::connect(&stores).await?;
    println!("person is {}\n", cached.level());
    let mut desk = Desk::new(cached.clone(), database);
    if std::env::args().nth(1).as_deref() == Some("-") {
        // The runtime's threads go on while this one waits for a line.
        for command in std::io::stdin().lines() {
            println!("{}\n", desk.run(&command?).await);
        }
    } else {
        for line in STORY.lines() {
            match line.strip_prefix("# ") {
                Some(heading) => println!("{heading}\n"),
                None => println!("> {line}\n{}\n", desk.run(line).await),
            }
        }
    }
    cached.close().await;
    Ok(())
}
