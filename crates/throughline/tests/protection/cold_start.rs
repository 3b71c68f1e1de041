// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything is missing at once.

use std::sync::Arc;

use throughline::{Key, Space};
use throughline_testkit::{Mariadb, MariadbOptions, Memcached, MemcachedOptions};
use tokio::task::JoinSet;

use crate::{gauge, open, shared};

const READERS: usize = 10_000;
const KEYS: usize = 100;

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_misses_of_a_hundred_keys_are_at_most_a_hundred_loads_within_the_limit() {
    let mariadb = Mariadb::start(MariadbOptions::default());
    let memcached = Memcached::start(MemcachedOptions::default());
    // One read connection begins with 16 loads at once, so that most of the loads must wait for their turn. A late
    // look-up would add loads on a busy machine.
    let settings = "read_connections = 1\nmax_concurrency = 128";
    let throughline = open(&mariadb, settings, &shared(&memcached, "10s")).await;
    let space = throughline.listing("item").unwrap().space.clone();
    while gauge(&throughline, "cache", "connects") < 1 {
        tokio::task::yield_now().await;
    }
    // A machine that keeps memcached waiting for 100 ms costs a connection, and its fills are refused: such a round
    // has other misses than those that are counted here, and the next hundred keys are taken.
    for round in 0..8 {
        let before = (space.stats().loads.get(), gauge(&throughline, "cache", "connects"));
        read_at_once(&space, round * KEYS).await;
        let loads = space.stats().loads.get() - before.0;
        let at_once = gauge(&throughline, "source", "loads_in_flight_max");
        assert_eq!(gauge(&throughline, "source", "loads_refused"), 0);
        assert!(at_once <= 40, "the limit cannot have grown from 16 to {at_once}");
        let lost = gauge(&throughline, "cache", "connects") - before.1;
        println!("{loads} loads, {at_once} at once, {lost} connections to memcached were lost");
        if lost == 0 {
            assert!(loads <= KEYS as u64, "{loads} loads");
            return;
        }
    }
    panic!("a connection to memcached was lost in every round");
}

async fn read_at_once(space: &Arc<Space>, first: usize) {
    let mut readers = JoinSet::new();
    for reader in 0..READERS {
        let space = space.clone();
        readers.spawn(async move {
            let key = Key::parse(&(1 + first + reader % KEYS).to_string()).unwrap();
            space.get(&key).await.map(|read| read.record().is_some())
        });
    }
    let answers = readers.join_all().await;
    assert!(answers.into_iter().all(Result::unwrap), "each got its record");
}
