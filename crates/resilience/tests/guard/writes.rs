// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes: their own permits, held to the end of the transaction, and no retry.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use throughline_core::{ErrorKind, Rng, Writer};
use throughline_resilience::{Breaker, BreakerConfig, BreakerState, Limit, LimitConfig, Timeouts};
use throughline_testkit::TokioClock;
use tokio::time::Duration;

use crate::stub::{Stub, intent, key};

fn limit(permits: usize) -> Limit {
    Limit::new("calls".to_owned(), LimitConfig::fixed(permits, 1_000), Arc::new(TokioClock::start()))
}

fn breaker() -> Breaker {
    let (clock, rng) = (Arc::new(TokioClock::start()), Arc::new(Rng::from_seed(8)));
    Breaker::new("the stub".to_owned(), BreakerConfig::default(), clock, rng)
}

#[tokio::test(start_paused = true)]
async fn a_write_does_not_wait_behind_reads() {
    let stub = Stub::that_takes_ms(10_000);
    let (reads, writes) = (limit(2), limit(2));
    let (loader, writer) = (reads.loader(stub.clone()), writes.writer(stub.clone()));
    let (key, began) = (key(), tokio::time::Instant::now());
    let mut loads: Vec<_> = (0..4).map(|_| loader.load(&key, intent())).collect();
    assert!(loads.iter_mut().all(|load| load.now_or_never().is_none()));
    assert_eq!(reads.stats().waiting, 2);
    stub.took_ms.store(1, Ordering::SeqCst);
    writer.prepare(&[]).await.unwrap().commit().await.unwrap();
    assert!(began.elapsed() < Duration::from_millis(10));
    // With common permits it would.
    let writer = reads.writer(stub.clone());
    assert_eq!(writer.prepare(&[]).await.unwrap_err().kind(), ErrorKind::Overloaded);
}

#[tokio::test(start_paused = true)]
async fn a_write_keeps_its_permit_until_it_is_over() {
    let (stub, writes) = (Stub::that_takes_ms(0), limit(1));
    let writer = writes.writer(stub.clone());
    let prepared = writer.prepare(&[]).await.unwrap();
    assert!(writer.prepare(&[]).await.is_err());
    prepared.commit().await.unwrap();
    let prepared = writer.prepare(&[]).await.unwrap();
    prepared.roll_back().await.unwrap();
    drop(writer.prepare(&[]).await.unwrap());
    let mut commit = writer.prepare(&[]).await.unwrap().commit();
    assert!((&mut commit).now_or_never().is_none());
    drop(commit);
    assert_eq!(writes.stats().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_late_is_given_up_and_not_tried_again() {
    let (stub, timeouts) = (Stub::that_takes_ms(60_000), Timeouts::new(100, 700));
    let writer = breaker().writer(timeouts.writer(stub.clone()));
    let began = tokio::time::Instant::now();
    assert_eq!(writer.prepare(&[]).await.unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!((stub.calls(), began.elapsed()), (1, Duration::from_millis(700)));
    assert_eq!((stub.inside(), stub.dropped.load(Ordering::SeqCst)), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn locked_rows_do_not_open_the_breaker_and_an_absent_server_does() {
    for (kind, is_open) in
        [(ErrorKind::Timeout, false), (ErrorKind::Constraint, false), (ErrorKind::Unavailable, true)]
    {
        let (stub, breaker) = (Stub::that_takes_ms(0), breaker());
        let writer: Arc<dyn Writer> = breaker.writer(stub.clone());
        stub.fail(Some(kind));
        drop(join_all((0..20).map(|_| writer.prepare(&[]))).await);
        assert_eq!(breaker.stats().state == BreakerState::Open, is_open, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_prepare_that_is_dropped_at_any_point_gives_its_permit_back() {
    for polls in 0..6 {
        let (stub, writes) = (Stub::that_takes_ms(2), limit(1));
        let writer = writes.writer(stub.clone());
        let mut prepare = writer.prepare(&[]);
        for _ in 0..polls {
            let _ = (&mut prepare).now_or_never();
            tokio::time::advance(Duration::from_millis(1)).await;
            if writes.stats().in_flight == 0 {
                break;
            }
        }
        drop(prepare);
        assert_eq!((writes.stats().in_flight, stub.inside()), (0, 0), "after {polls} polls");
    }
}
