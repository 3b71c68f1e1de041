// SPDX-License-Identifier: MIT OR Apache-2.0
//! Products, read through and written through a cache on memcached.
//!
//! ```sh
//! export DATABASE_URL=mysql://USER:PASSWORD@127.0.0.1:3306/DATABASE MEMCACHED=127.0.0.1:11211
//! cargo run --example product         # tells the story
//! cargo run --example product -- -    # takes commands from you
//! ```
//!
//! | file | what it is |
//! |---|---|
//! | `catalogue` | `get_product` and `update_product` |
//! | `by_hand` | the same two as they are usually written, and wrong |
//! | `race`, `slow_reader` | what goes wrong, step by step, in both |
//! | `desk` | a caller |

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people to watch")]
#![allow(clippy::disallowed_methods, reason = "a program reads its environment")]

mod by_hand;
mod catalogue;
mod desk;
mod product;
mod race;
mod slow_reader;

use std::process::ExitCode;
use std::sync::Arc;

use by_hand::ByHand;
use catalogue::{Catalogue, Result};
use desk::Desk;
use slow_reader::Gate;

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
            eprintln!("product: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let variable = |name, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let (memcached, level) = (variable("MEMCACHED", "127.0.0.1:11211"), variable("LEVEL", "strict"));
    let gate = Arc::new(Gate::default());
    let catalogue = Catalogue::open(&memcached, &level, Arc::clone(&gate)).await?;
    let by_hand = ByHand::open(&variable("DATABASE_URL", ""), &memcached)?;
    println!("product is {}\n", catalogue.level());
    let desk = Desk { catalogue, by_hand, gate };
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
    desk.catalogue.close().await;
    Ok(())
}
