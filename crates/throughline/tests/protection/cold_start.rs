// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything is missing at once.

use throughline::Key;
use throughline_testkit::{Mariadb, MariadbOptions, Memcached, MemcachedOptions};
use tokio::task::JoinSet;

use crate::{gauge, open, shared};

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_misses_of_a_hundred_keys_are_at_most_a_hundred_loads_within_the_limit() {
    const READERS: usize = 10_000;
    const KEYS: usize = 100;
    let mariadb = Mariadb::start(MariadbOptions::default());
    let memcached = Memcached::start(MemcachedOptions::default());
    // One read connection begins with 16 loads at once, so that most of the loads must wait for their turn. A late
    // look-up would add loads on a busy machine.
    let settings = "read_connections = 1\nmax_concurrency = 128";
    let throughline = open(&mariadb, settings, &shared(&memcached, "10s")).await;
    let space = throughline.listing("item").unwrap().space.clone();
    while gauge(&throughline, "cache", "connects") < 2 {
        tokio::task::yield_now().await;
    }
    let before = space.stats().loads.get();
    let mut readers = JoinSet::new();
    for reader in 0..READERS {
        let space = space.clone();
        readers.spawn(async move {
            let key = Key::parse(&(1 + reader % KEYS).to_string()).unwrap();
            space.get(&key).await.map(|read| read.record().is_some())
        });
    }
    let answers = readers.join_all().await;
    assert!(answers.iter().all(|answer| *answer.as_ref().unwrap()), "each got its record");
    let loads = space.stats().loads.get() - before;
    assert!(loads <= KEYS as u64, "{loads} loads");
    let (at_once, limit) =
        (gauge(&throughline, "source", "loads_in_flight_max"), gauge(&throughline, "source", "load_limit"));
    println!("{loads} loads, {at_once} at once, the limit is now {limit}");
    assert!(at_once <= limit.max(16), "{at_once} loads at once, limit {limit}");
    assert_eq!(gauge(&throughline, "source", "loads_refused"), 0);
}
