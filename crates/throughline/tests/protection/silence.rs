// SPDX-License-Identifier: MIT OR Apache-2.0
//! A server that stands still: it neither answers nor closes its connections.

use std::sync::Arc;

use throughline::{Bypass, ErrorKind, Key, Served, Space, Throughline};
use throughline_testkit::{Mariadb, MariadbOptions, Memcached, MemcachedOptions};
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant};

use crate::{gauge, open, shared};

fn key(number: usize) -> Key {
    Key::parse(&(1 + number % 1_000).to_string()).unwrap()
}

fn space(throughline: &Throughline) -> Arc<Space> {
    throughline.listing("item").unwrap().space.clone()
}

/// Reads `count` different keys at once; the errors that came.
async fn read(space: &Arc<Space>, count: usize) -> Vec<ErrorKind> {
    let mut readers = JoinSet::new();
    for number in 0..count {
        let space = space.clone();
        readers.spawn(async move { space.get(&key(number)).await.err().map(|error| error.kind()) });
    }
    readers.join_all().await.into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_stands_still_costs_each_early_reader_its_deadline_and_later_ones_nothing() {
    let mariadb = Mariadb::start(MariadbOptions::default());
    let throughline = open(&mariadb, "statement_timeout = \"500ms\"", "").await;
    let space = space(&throughline);
    space.set_mode(throughline::Mode::Source).await.unwrap();
    assert_eq!(read(&space, 32).await, []);
    mariadb.pause();
    let began = Instant::now();
    assert_eq!(read(&space, 32).await.len(), 32);
    let first = began.elapsed();
    assert_eq!(gauge(&throughline, "source", "breaker_opened"), 1);

    // From here on errors come at once, but for the one caller whose read is the probe.
    let (mut slow, mut errors, until) = (0, 0, Instant::now() + Duration::from_millis(1_500));
    while Instant::now() < until {
        let began = Instant::now();
        let error = space.get(&key(errors)).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout), "{error}");
        slow += usize::from(began.elapsed() > Duration::from_millis(250));
        errors += 1;
    }
    println!(
        "32 readers waited up to {first:?}; then {errors} errors, {slow} of them after more than 250 ms"
    );
    assert!(errors > 1_000 && slow <= 3, "{errors} errors, {slow} slow");
    mariadb.resume();
    let began = Instant::now();
    while space.get(&key(1)).await.is_err() {
        tokio::task::yield_now().await;
        assert!(began.elapsed() < Duration::from_secs(20), "it never came back");
    }
    println!("back after {:?}", began.elapsed());
    assert_eq!((gauge(&throughline, "source", "breaker"), read(&space, 32).await), (0, vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_memcached_that_stands_still_is_not_asked_for_every_read() {
    let mariadb = Mariadb::start(MariadbOptions::default());
    let memcached = Memcached::start(MemcachedOptions::default());
    let throughline = open(&mariadb, "", &shared(&memcached, "20ms")).await;
    let space = space(&throughline);
    while space.get(&key(1)).await.unwrap().served != Served::Hit {
        tokio::task::yield_now().await;
    }
    memcached.pause();
    let (asked, began) = (gauge(&throughline, "cache", "commands"), Instant::now());
    for number in 0..1_000 {
        let served = space.get(&key(number)).await.unwrap().served;
        assert_eq!(served, Served::Bypass(Bypass::CacheError));
    }
    let asked = gauge(&throughline, "cache", "commands") - asked;
    let (refused, took) = (gauge(&throughline, "cache", "breaker_refused"), began.elapsed());
    println!("1,000 reads in {took:?}: {asked} asked memcached, {refused} were refused by the breaker");
    // Those that opened it, and the probes: one in 100 ms at the most.
    let probes = 1 + took.as_millis() as u64 / 100;
    assert!(asked <= 5 + probes, "{asked} reads asked, {probes} might have probed");
    memcached.resume();
    let began = Instant::now();
    while space.get(&key(1)).await.unwrap().served != Served::Hit {
        tokio::task::yield_now().await;
        assert!(began.elapsed() < Duration::from_secs(20), "it never came back");
    }
    assert_eq!(gauge(&throughline, "cache", "breaker"), 0);
}
