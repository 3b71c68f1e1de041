// SPDX-License-Identifier: MIT OR Apache-2.0
//! Loads: what is tried again, what is refused, what is left behind by callers who go.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Waker};

use futures_util::future::join_all;
use throughline_core::{ErrorKind, Loader, Retry, Rng};
use throughline_resilience::{Breaker, BreakerConfig, BreakerState, Limit, LimitConfig, Retries, Timeouts};
use throughline_testkit::TokioClock;
use tokio::time::{Duration, Instant};

use crate::stub::{Stub, intent, key};

/// Every wrapper, as assembly puts them.
struct Guarded {
    stub: Arc<Stub>,
    retries: Retries,
    breaker: Breaker,
    limit: Limit,
    timeouts: Timeouts,
    loader: Arc<dyn Loader>,
}

fn guarded(stub: Arc<Stub>) -> Guarded {
    let (clock, rng) = (Arc::new(TokioClock::start()), Arc::new(Rng::from_seed(8)));
    let config = LimitConfig { start: 4, min: 1, max: 64, wait_ms_max: 1_000 };
    let limit = Limit::new("loads".to_owned(), config, clock.clone());
    let breaker = Breaker::new("the stub".to_owned(), BreakerConfig::default(), clock, rng.clone());
    let (retries, timeouts) = (Retries::new(rng), Timeouts::new(500, 500));
    let loader = retries.loader(breaker.loader(limit.loader(timeouts.loader(stub.clone()))));
    Guarded { stub, retries, breaker, limit, timeouts, loader }
}

#[tokio::test(start_paused = true)]
async fn a_load_that_did_not_reach_the_source_is_tried_again_and_its_flight_stays_sent() {
    let house = guarded(Stub::that_takes_ms(0));
    house.stub.fail(Some(ErrorKind::Unavailable));
    let (key, intent) = (key(), intent());
    let outcome = house.loader.load(&key, intent.clone()).await;
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!((house.stub.calls(), house.retries.stats().retries), (3, 2));
    assert!(intent.sent.is_tripped() && house.stub.found_sent.load(Ordering::SeqCst));
}

#[tokio::test(start_paused = true)]
async fn only_what_did_not_reach_the_source_is_tried_again() {
    for kind in [
        ErrorKind::InvalidKey,
        ErrorKind::Denied,
        ErrorKind::Timeout,
        ErrorKind::Overloaded,
        ErrorKind::Corrupt,
        ErrorKind::Other,
    ] {
        let house = guarded(Stub::that_takes_ms(0));
        house.stub.fail(Some(kind));
        assert_eq!(house.loader.load(&key(), intent()).await.unwrap_err().kind(), kind);
        assert_eq!(house.stub.calls(), 1, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn retries_cost_a_tenth_of_the_calls() {
    // Without a breaker, which would end this early.
    let stub = Stub::that_takes_ms(0);
    let retries = Retries::new(Arc::new(Rng::from_seed(8)));
    let loader = retries.loader(stub.clone());
    stub.fail(Some(ErrorKind::Unavailable));
    for _ in 0..1_000 {
        loader.load(&key(), intent()).await.unwrap_err();
    }
    let saved_up = 10;
    assert!((1_090..=1_100 + saved_up).contains(&stub.calls()), "{}", stub.calls());
    assert!(retries.stats().unaffordable > 800);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_stands_still_costs_each_early_caller_one_deadline_and_the_rest_nothing() {
    let house = guarded(Stub::that_takes_ms(60_000));
    let began = Instant::now();
    let errors =
        join_all((0..4).map(|_| async { house.loader.load(&key(), intent()).await.unwrap_err() })).await;
    assert!(errors.iter().all(|error| (error.kind(), error.retry()) == (ErrorKind::Timeout, Retry::Safe)));
    house.loader.load(&key(), intent()).await.unwrap_err();
    assert_eq!((began.elapsed(), house.timeouts.count()), (Duration::from_secs(1), 5));

    for _ in 0..1_000 {
        let error = house.loader.load(&key(), intent()).await.unwrap_err();
        assert!(error.detail().starts_with("the breaker of the stub is open"), "{error}");
    }
    assert_eq!((began.elapsed(), house.stub.calls()), (Duration::from_secs(1), 5));
    assert_eq!((house.breaker.stats().refused, house.retries.stats().retries), (1_000, 0));

    house.stub.took_ms.store(1, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(320)).await;
    house.loader.load(&key(), intent()).await.unwrap();
    assert_eq!(house.breaker.stats().state, BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn the_source_never_has_more_calls_at_once_than_the_limit() {
    let house = guarded(Stub::that_takes_ms(3));
    let loads = join_all((0..64).map(|_| async { house.loader.load(&key(), intent()).await })).await;
    assert!(loads.iter().all(Result::is_ok));
    let stats = house.limit.stats();
    assert_eq!(house.stub.inside_max.load(Ordering::SeqCst), stats.in_flight_max);
    assert!(stats.in_flight_max <= 5, "{stats:?}");
    // The same calls without a limit are found out.
    let bare: Arc<dyn Loader> = Stub::that_takes_ms(3);
    let bare_stub = Stub::that_takes_ms(3);
    join_all((0..64).map(|_| async { bare_stub.load(&key(), intent()).await })).await;
    assert_eq!(bare_stub.inside_max.load(Ordering::SeqCst), 64);
    drop(bare);
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_leaves_at_any_point_leaves_nothing_behind() {
    let mut ends = 0;
    for polls in 0..40 {
        let house = guarded(Stub::that_takes_ms(2));
        house.stub.fail((polls % 2 == 0).then_some(ErrorKind::Unavailable));
        // The limit is taken, so that a point of leaving is in its queue as well.
        let keys = [key()];
        let mut others: Vec<_> = (0..4).map(|_| house.loader.load_many(&keys, intent())).collect();
        let mut leaver = house.loader.load(&keys[0], intent());
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..polls {
            if leaver.as_mut().poll(&mut context).is_ready() {
                ends += 1;
                break;
            }
            for other in &mut others {
                let _ = other.as_mut().poll(&mut context);
            }
            others.truncate(4 - polls / 8);
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        drop((leaver, others));
        assert_eq!((house.stub.inside(), house.limit.stats().in_flight), (0, 0), "after {polls} polls");
        house.stub.fail(None);
        tokio::time::advance(Duration::from_millis(400)).await;
        house.loader.load(&key(), intent()).await.unwrap();
    }
    assert!((1..39).contains(&ends), "some left early and some stayed to the end: {ends}");
}
