// SPDX-License-Identifier: MIT OR Apache-2.0
//! How often per second can one hot row be written by 16 clients, beside the bare UPDATE?
//!
//! Ours: strict write-through over memcached and MariaDB: UPDATE, read-back, mark, COMMIT, publish, the mark
//! under the row's lock. Bare: 16 connections, an autocommitted UPDATE of a row of another table. MariaDB's default durability
//! (an fsync per commit, which a row's lock keeps from being shared).

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::future::Future;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts};
use throughline::config::Settings;
use throughline::{Assembly, Change, Condition, Key, Level, Target, Write};
use throughline_bench::{Claim, Rounds, print_machine};
use throughline_testkit::{Mariadb, MariadbOptions, Memcached, MemcachedOptions};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

const SEED: u64 = 1;
const CLIENTS: usize = 16;
const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_secs(2);

fn main() {
    print_machine("one row, written by 16 clients at once, beside the bare UPDATE", SEED);
    let mariadb = Mariadb::start(MariadbOptions::default());
    let memcached = Memcached::start(MemcachedOptions::default());
    let url = mariadb.create_database("shop");
    mariadb.execute(
        "CREATE TABLE shop.item (id BIGINT PRIMARY KEY, body VARCHAR(100) NOT NULL); \
         CREATE TABLE shop.bare (id BIGINT PRIMARY KEY, body VARCHAR(100) NOT NULL); \
         INSERT INTO shop.item VALUES (1, 'one'); INSERT INTO shop.bare VALUES (1, 'one')",
    );
    let text = format!(
        "[sources.shop]\nurl = \"{url}\"\n[caches.main]\nmemcached = {{ servers = [\"{}\"] }}\n\
         [resources.item]\nsource = \"shop\"\naccess = \"write\"\nlevel = \"strict\"\n",
        memcached.address()
    );
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let settings = Settings::parse(&text, &|_| None).unwrap();
    runtime.block_on(throughline::install(&settings)).unwrap();
    let throughline = runtime.block_on(Assembly::new(settings).open()).unwrap();
    let space = throughline.listing("item").unwrap().space.clone();
    assert_eq!(space.policy().level, Level::Strict);
    let opts = Opts::from_url(&url).unwrap();
    let mut rounds = Rounds::default();
    for _ in 0..ROUNDS {
        let ours = rate(&runtime, |client, until| {
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
        let bare = rate(&runtime, |client, until| {
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
    runtime.block_on(throughline.shut_down(Duration::from_secs(1)));
}

/// Runs `task` in 16 tasks for a round; each says how many operations it did. Operations per second.
fn rate<F: Future<Output = usize> + Send + 'static>(
    runtime: &Runtime,
    task: impl Fn(usize, Instant) -> F,
) -> f64 {
    let began = Instant::now();
    let until = began + ROUND;
    let counts = runtime.block_on(async {
        let tasks: JoinSet<usize> = (0..CLIENTS).map(|client| task(client, until)).collect();
        tasks.join_all().await
    });
    counts.iter().sum::<usize>() as f64 / began.elapsed().as_secs_f64()
}
