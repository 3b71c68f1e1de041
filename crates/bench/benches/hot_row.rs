// SPDX-License-Identifier: MIT OR Apache-2.0
//! How often per second can one hot row be written by 16 clients, beside the bare UPDATE?
//!
//! Ours: strict write-through over memcached and MariaDB: UPDATE, read-back, mark, COMMIT, publish, the mark
//! under the row's lock; writes that meet are one transaction, each with its own UPDATE and read-back. Bare: 16
//! connections, an autocommitted UPDATE of a row of another table. MariaDB's default durability (an fsync per commit,
//! which a row's lock keeps from being shared).

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts};
use throughline::{Change, Condition, Key, Target, Write};
use throughline_bench::{Claim, Rounds, Strict, print_machine, rate};

const SEED: u64 = 1;
const CLIENTS: usize = 16;
const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_secs(2);

fn main() {
    print_machine("one row, written by 16 clients at once, beside the bare UPDATE", SEED);
    let strict = Strict::start();
    let (runtime, space) = (&strict.runtime, &strict.space);
    let opts = Opts::from_url(&strict.url).unwrap();
    let mut rounds = Rounds::default();
    for _ in 0..ROUNDS {
        let ours = rate(runtime, CLIENTS, ROUND, |client, until| {
            let space = space.clone();
            async move {
                let mut count = 0;
                while Instant::now() < until {
                    let value = format!("{{\"id\":1,\"body\":\"{client:->50}{count:->50}\"}}");
                    let change = Change::Put { value: value.into(), flags: 0 };
                    let target = Target::Key(Key::parse("1").unwrap());
                    space.write(Write { target, change, condition: Condition::Always }).await.unwrap();
                    count += 1;
                }
                count
            }
        });
        let bare = rate(runtime, CLIENTS, ROUND, |client, until| {
            let opts = opts.clone();
            async move {
                let mut connection = Conn::new(opts).await.unwrap();
                let mut count = 0;
                while Instant::now() < until {
                    let body = format!("{client:->50}{count:->50}");
                    connection.exec_drop("UPDATE bare SET body = ? WHERE id = 1", (body,)).await.unwrap();
                    count += 1;
                }
                connection.disconnect().await.unwrap();
                count
            }
        });
        rounds.add(ours, bare);
    }
    rounds.print("strict writes of a hot row", "the bare UPDATE", "op/s", Claim::AtLeast(0.5));
    runtime.block_on(strict.throughline.shut_down(Duration::from_secs(1)));
}
