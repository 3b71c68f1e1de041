// SPDX-License-Identifier: MIT OR Apache-2.0
//! Servers that stand still: connections stay open and nothing is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use throughline_caches::MemcachedConfig;
use throughline_core::{Cache, ErrorKind, Fill, Lookup, NodeId, Rng};

use crate::house::{cache_on, entry, eventually, filled, house, lease, patient, put, read, slot, started};

#[tokio::test]
async fn a_server_that_stands_still_ends_the_connection_and_its_tokens() {
    let server = started(&[]);
    let config = MemcachedConfig { mark_timeout_ms: 50, connections: 1, ..patient(server.address()) };
    let cache = cache_on(config);
    cache.probe().await.expect("the server was just started");
    let held = lease(&cache, &slot("a")).await;
    server.pause();
    let error = cache.mark(&[slot("b")]).await.remove(0).expect_err("nobody answers");
    assert!(matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Unavailable), "{error}");
    server.resume();
    eventually("it is connected again", async || cache.get(&slot("c")).await.ok()).await;
    // The server knows the lease still; our side must not use it any more.
    assert!(matches!(cache.get(&slot("a")).await, Ok(Lookup::Busy)));
    assert_eq!(filled(&cache, held, entry("late")).await.expect("an answer"), Fill::Refused);
}

#[tokio::test]
async fn a_late_look_up_takes_nobody_elses_lease_along() {
    let server = started(&[]);
    let config = MemcachedConfig {
        get_timeout_ms: 20,
        mark_timeout_ms: 20_000,
        connections: 1,
        ..patient(server.address())
    };
    let cache = cache_on(config);
    cache.probe().await.expect("the server was just started");
    let held = lease(&cache, &slot("a")).await;
    server.pause();
    let error = cache.get(&slot("b")).await.expect_err("nobody answers");
    assert_eq!((error.kind(), read(&cache.stats(NodeId(0)).timeouts)), (ErrorKind::Timeout, 1));
    server.resume();
    assert_eq!(filled(&cache, held, entry("in time")).await.expect("an answer"), Fill::Stored);
    // The lease that the late look-up was given came back as well.
    eventually("the next one gets the lease", async || match cache.get(&slot("b")).await {
        Ok(Lookup::Leased(lease)) => {
            let _: () = cache.release(lease);
            Some(())
        }
        _ => None,
    })
    .await;
}

#[tokio::test]
async fn a_mark_is_tried_once_more_on_a_fresh_connection() {
    let server = started(&[]);
    let config = MemcachedConfig { mark_timeout_ms: 1_000, ..patient(server.address()) };
    let cache = Arc::new(cache_on(config));
    cache.probe().await.expect("the server was just started");
    put(&cache, &slot("a"), "old").await;
    server.pause();
    let marking = tokio::spawn({
        let cache = Arc::clone(&cache);
        async move { cache.mark(&[slot("a")]).await.remove(0) }
    });
    eventually("the first attempt is late", async || {
        (read(&cache.stats(NodeId(0)).timeouts) > 0).then_some(())
    })
    .await;
    server.resume();
    let mark = marking.await.expect("marking does not panic").expect("the second attempt is confirmed");
    assert_eq!(cache.publish(mark, entry("new"), 60_000).await.expect("an answer"), Fill::Stored);
}

#[tokio::test]
async fn a_mark_that_nobody_confirms_fails_in_bounded_time() {
    let server = started(&[]);
    let config = MemcachedConfig { mark_timeout_ms: 50, ..patient(server.address()) };
    let cache = cache_on(config);
    cache.probe().await.expect("the server was just started");
    server.pause();
    let slots: Vec<_> = (0..100).map(|n| slot(&n.to_string())).collect();
    let marks = tokio::time::timeout(Duration::from_secs(5), cache.mark(&slots)).await.expect("bounded");
    assert_eq!(marks.len(), slots.len());
    assert!(marks.iter().all(Result::is_err));
    server.resume();
}

#[tokio::test]
async fn a_hanging_server_is_noticed_although_every_caller_has_gone() {
    let server = started(&[]);
    let config = MemcachedConfig { mark_timeout_ms: 50, ..patient(server.address()) };
    let cache = cache_on(config);
    cache.probe().await.expect("the server was just started");
    let lease = lease(&cache, &slot("a")).await;
    server.pause();
    drop(cache.fill(lease, entry("v"), 60_000));
    eventually("the connection is given up", async || {
        (read(&cache.stats(NodeId(0)).timeouts) > 0).then_some(())
    })
    .await;
    server.resume();
}

#[tokio::test]
async fn too_many_requests_under_way_are_refused() {
    let server = started(&[]);
    let config = MemcachedConfig { in_flight_max: 8, connections: 1, ..patient(server.address()) };
    let cache = cache_on(config);
    cache.probe().await.expect("the server was just started");
    server.pause();
    let slots: Vec<_> = (0..9).map(|n| slot(&n.to_string())).collect();
    let look = cache.get_many(&slots);
    let resumed = async {
        eventually("the queue is full", async || (read(&cache.stats(NodeId(0)).commands) == 8).then_some(()))
            .await;
        let error = cache.get(&slot("one more")).await.expect_err("the queue is full");
        assert_eq!(error.kind(), ErrorKind::Overloaded);
        server.resume();
    };
    let (looks, ()) = tokio::join!(look, resumed);
    assert!(looks[..8].iter().all(|look| matches!(look, Ok(Lookup::Leased(_)))), "{looks:?}");
    assert_eq!(looks[8].as_ref().expect_err("beyond the bound").kind(), ErrorKind::Overloaded);
}

#[tokio::test]
async fn a_look_up_that_is_dropped_gives_its_lease_back() {
    let (server, cache) = house(&[]).await;
    server.pause();
    let looking = slot("a");
    let mut look = cache.get(&looking);
    let once =
        std::future::poll_fn(|context| std::task::Poll::Ready(look.as_mut().poll(context).is_pending()));
    assert!(once.await, "nobody has answered yet");
    drop(look);
    server.resume();
    // The lease would last for 5 s; given back, it is free as soon as the answer has come.
    eventually("the lease is given back", async || {
        (read(&cache.stats(NodeId(0)).unclaimed) == 1).then_some(())
    })
    .await;
    drop(lease(&cache, &slot("a")).await);
}

/// One of 64 tasks that read their own keys, change their minds at random, and check what they get.
async fn fickle_reader(cache: Arc<throughline_caches::MemcachedCache>, n: u64, stop: Arc<AtomicBool>) -> u64 {
    let rng = Rng::from_seed(n);
    let mut hits = 0;
    while !stop.load(Ordering::Relaxed) {
        let key = format!("{n}:{}", rng.below(3));
        let (slot, own) = (slot(&key), entry(format!("own value of {key}")));
        let patience = rng.below(4);
        let changes_mind = async {
            for _ in 0..patience {
                tokio::task::yield_now().await;
            }
            if patience == 3 {
                std::future::pending::<()>().await;
            }
        };
        let look = tokio::select! {
            look = cache.get(&slot) => look,
            () = changes_mind => continue,
        };
        match look {
            Ok(Lookup::Hit(hit)) => {
                assert_eq!(hit.into_entry(), own, "somebody else's answer");
                hits += 1;
            }
            Ok(Lookup::Leased(lease)) => drop(cache.fill(lease, own, 60_000)),
            _ => tokio::task::yield_now().await,
        }
    }
    hits
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_gets_anothers_answer_through_pauses_and_dropped_look_ups() {
    let server = started(&[]);
    let cache = Arc::new(cache_on(MemcachedConfig { get_timeout_ms: 50, ..patient(server.address()) }));
    cache.probe().await.expect("the server was just started");
    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> =
        (0..64).map(|n| tokio::spawn(fickle_reader(Arc::clone(&cache), n, Arc::clone(&stop)))).collect();
    for round in 0..4 {
        let gets = read(&cache.stats(NodeId(0)).commands);
        eventually("there is traffic", async || {
            (read(&cache.stats(NodeId(0)).commands) > gets + 2_000).then_some(())
        })
        .await;
        let timeouts = read(&cache.stats(NodeId(0)).timeouts);
        server.pause();
        eventually("the pause is noticed", async || {
            (read(&cache.stats(NodeId(0)).timeouts) > timeouts).then_some(())
        })
        .await;
        server.resume();
        let own = (slot(&format!("{round}:0")), entry(format!("own value of {round}:0")));
        eventually("values are found again", async || match cache.get(&own.0).await {
            Ok(Lookup::Hit(hit)) => {
                assert_eq!(hit.into_entry(), own.1);
                Some(())
            }
            Ok(Lookup::Leased(lease)) => {
                drop(filled(&cache, lease, own.1.clone()).await);
                None
            }
            _ => None,
        })
        .await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut hits = 0;
    for reader in readers {
        hits += reader.await.expect("no reader got another's value");
    }
    assert!(hits > 64, "only {hits} hits");
}
