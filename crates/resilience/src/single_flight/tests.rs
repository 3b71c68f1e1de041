// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promises of single-flight, with paused time.

#![allow(clippy::disallowed_methods, reason = "a leader that panics needs a task of its own")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use throughline_core::Key;
use tokio::sync::Notify;

use super::SingleFlight;

static KEY: LazyLock<Key> = LazyLock::new(|| Key::parse("42").expect("a key"));

/// A cache of one number, loaded by one of many: what the engine does, without the engine.
async fn read(flights: &SingleFlight<u32>, loads: &AtomicUsize, filled: &AtomicUsize) -> u32 {
    let work = |sent: throughline_core::Sent| async move {
        sent.trip();
        if filled.load(Ordering::SeqCst) == 0 {
            loads.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            filled.store(1, Ordering::SeqCst);
        }
        7
    };
    flights.run(&KEY, work).await.value
}

#[tokio::test(start_paused = true)]
async fn a_thousand_concurrent_misses_are_one_load() {
    let (flights, loads, filled) = (SingleFlight::default(), AtomicUsize::new(0), AtomicUsize::new(0));
    let answers = join_all((0..1_000).map(|_| read(&flights, &loads, &filled))).await;
    assert!(answers.iter().all(|answer| *answer == 7));
    assert_eq!(loads.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_flight_that_was_sent_takes_no_joiner() {
    let flights = SingleFlight::<u32>::default();
    let gate = Notify::new();
    let first = flights.run(&KEY, |sent| {
        sent.trip();
        let landing = gate.notified();
        async {
            landing.await;
            1
        }
    });
    let mut first = Box::pin(first);
    assert!((&mut first).now_or_never().is_none());
    // A writer completes here; whoever begins now must not get the first flight's answer.
    let mut second = Box::pin(flights.run(&KEY, |_| async { 2 }));
    assert!((&mut second).now_or_never().is_none(), "the next flight waits for the one ahead");
    gate.notify_one();
    assert_eq!(first.await.value, 1);
    assert_eq!(second.await.value, 2);
}

#[tokio::test(start_paused = true)]
async fn a_flight_that_was_not_sent_is_joined() {
    let flights = SingleFlight::<u32>::default();
    let gate = Notify::new();
    let mut first = Box::pin(flights.run(&KEY, |_| {
        let landing = gate.notified();
        async {
            landing.await;
            1
        }
    }));
    assert!((&mut first).now_or_never().is_none());
    let mut second = Box::pin(flights.run(&KEY, |_| async { 2 }));
    assert!((&mut second).now_or_never().is_none());
    gate.notify_one();
    assert!(!first.await.joined);
    let second = second.await;
    assert_eq!((second.value, second.joined), (1, true));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_leader_is_replaced_by_a_joiner() {
    let flights = SingleFlight::<u32>::default();
    let mut first = Box::pin(flights.run(&KEY, |_| std::future::pending()));
    assert!((&mut first).now_or_never().is_none());
    let mut second = Box::pin(flights.run(&KEY, |_| async { 2 }));
    assert!((&mut second).now_or_never().is_none());
    drop(first);
    assert_eq!(second.await.value, 2);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_waiting_leader_leaves_nobody_behind() {
    let flights = SingleFlight::<u32>::default();
    let gate = Notify::new();
    let mut running = Box::pin(flights.run(&KEY, |sent| {
        sent.trip();
        let landing = gate.notified();
        async {
            landing.await;
            1
        }
    }));
    assert!((&mut running).now_or_never().is_none());
    let mut waiting = Box::pin(flights.run(&KEY, |_| async { 2 }));
    assert!((&mut waiting).now_or_never().is_none());
    let mut joiner = Box::pin(flights.run(&KEY, |_| async { 3 }));
    assert!((&mut joiner).now_or_never().is_none());
    drop(waiting);
    gate.notify_one();
    assert_eq!(running.await.value, 1);
    assert_eq!(joiner.await.value, 3);
    assert!(flights.queues_are_empty());
}

#[tokio::test(start_paused = true)]
async fn a_panicking_leader_is_replaced_by_a_joiner() {
    let flights = Arc::new(SingleFlight::<u32>::default());
    let gate = Arc::new(Notify::new());
    let leader = tokio::spawn({
        let (flights, gate) = (flights.clone(), gate.clone());
        async move {
            let work = |_| async move {
                gate.notified().await;
                panic!("planted");
            };
            flights.run(&KEY, work).await.value
        }
    });
    tokio::task::yield_now().await;
    let mut joiner = Box::pin(flights.run(&KEY, |_| async { 2 }));
    assert!((&mut joiner).now_or_never().is_none());
    gate.notify_one();
    assert!(leader.await.expect_err("the leader panics").is_panic());
    assert_eq!(joiner.await.value, 2);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_never_polled_does_not_hold_its_joiners_for_ever() {
    let flights = SingleFlight::<u32>::default();
    let mut stuck = Box::pin(flights.run(&KEY, |_| std::future::pending()));
    assert!((&mut stuck).now_or_never().is_none());
    assert_eq!(flights.run(&KEY, |_| async { 2 }).await.value, 2);
}

impl<V> SingleFlight<V> {
    fn queues_are_empty(&self) -> bool {
        self.queues.is_empty()
    }
}
