// SPDX-License-Identifier: MIT OR Apache-2.0
//! Permits: who gets one, who waits, who is refused, and what becomes of those who leave.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};
use throughline_core::{BoxFuture, Error, ErrorKind, Result};
use throughline_testkit::{ManualClock, TokioClock};

use super::{Limit, LimitConfig, LimitStats, Permit};

fn limit(permits: usize, max: usize) -> (Limit, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    let config = LimitConfig { start: permits, min: 1, max, wait_ms_max: 1_000 };
    (Limit::new("tests".to_owned(), config, clock.clone()), clock)
}

fn now(limit: &Limit) -> Option<Result<Permit>> {
    limit.acquire("test").now_or_never()
}

fn held(limit: &Limit, count: usize) -> Vec<Permit> {
    (0..count).map(|_| now(limit).expect("no wait").expect("a permit")).collect()
}

#[tokio::test(start_paused = true)]
async fn a_call_beyond_the_limit_waits_for_a_permit() {
    let (limit, _) = limit(2, 8);
    let mut permits = held(&limit, 2);
    let mut third = pin!(limit.acquire("test"));
    assert!(third.as_mut().now_or_never().is_none());
    drop(permits.pop());
    assert!(third.await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_too_long_is_refused_and_says_why() {
    let (limit, _) = limit(1, 8);
    let _permit = held(&limit, 1);
    let error = limit.acquire("load a row").await.err().expect("nobody leaves");
    assert_eq!(
        error.to_string(),
        "cannot load a row: overloaded: 1 tests are under way, which is the limit now, and the wait for a turn \
         took too long"
    );
    assert_eq!(limit.stats().refused, 1);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_whoever_has_waited_longest() {
    let (limit, _) = limit(1, 2);
    let _permit = held(&limit, 1);
    let mut calls: Vec<_> = (0..3).map(|_| Box::pin(limit.acquire("test"))).collect();
    assert!(calls.iter_mut().all(|call| call.now_or_never().is_none()));
    let refused = calls.remove(0).now_or_never().expect("it was told").err().expect("it was refused");
    assert_eq!(refused.kind(), ErrorKind::Overloaded);
    assert_eq!(limit.stats().waiting, 2);
}

#[tokio::test(start_paused = true)]
async fn the_first_goes_first_until_the_wait_is_long_and_then_the_last() {
    let (limit, clock) = limit(1, 8);
    let permits = held(&limit, 1);
    let mut calls: Vec<_> = (0..4).map(|_| Box::pin(limit.acquire("test"))).collect();
    assert!(calls.iter_mut().all(|call| call.now_or_never().is_none()));
    drop(permits);
    let first = calls.remove(0).now_or_never().expect("its turn").expect("a permit");
    clock.advance_ms(super::LONG_WAIT_MS);
    drop(first);
    assert!(calls.pop().expect("the last").now_or_never().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_permit_for_a_caller_who_left_goes_to_the_next() {
    let (limit, _) = limit(1, 8);
    let permits = held(&limit, 1);
    let mut leaver = Box::pin(limit.acquire("test"));
    let mut next = Box::pin(limit.acquire("test"));
    assert!(leaver.as_mut().now_or_never().is_none() && next.as_mut().now_or_never().is_none());
    drop(permits);
    // The permit is on its way to the one who leaves now.
    drop(leaver);
    assert!(next.now_or_never().is_some());
    assert_eq!(limit.stats().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn callers_who_left_keep_nobody_out() {
    let (limit, _) = limit(1, 4);
    let permits = held(&limit, 1);
    let mut leavers: Vec<_> = (0..4).map(|_| Box::pin(limit.acquire("test"))).collect();
    assert!(leavers.iter_mut().all(|call| call.now_or_never().is_none()));
    drop(leavers);
    let mut call = pin!(limit.acquire("test"));
    assert!(call.as_mut().now_or_never().is_none());
    assert_eq!(limit.stats().waiting, 1);
    drop(permits);
    assert!(call.await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_cold_start_is_paced_and_nobody_is_refused_who_could_be_served_in_time() {
    let config = LimitConfig { start: 8, min: 2, max: 128, wait_ms_max: 1_000 };
    let limit = Limit::new("tests".to_owned(), config, Arc::new(TokioClock::start()));
    let call = || async {
        let permit = limit.acquire("test").await?;
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        permit.finish(&Ok(()));
        Ok::<_, Error>(())
    };
    let outcomes = join_all((0..100).map(|_| call())).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert!(limit.stats().in_flight_max <= 8 + 4, "{:?}", limit.stats());
}

/// The bounds that must hold at any time; `Err` says which does not.
fn check(stats: LimitStats, admitted_at: Option<usize>, max: usize) -> std::result::Result<(), String> {
    if stats.waiting > max || stats.limit > max {
        return Err(format!("a bound of {max} is broken: {stats:?}"));
    }
    match admitted_at {
        Some(limit) if stats.in_flight > limit => Err(format!("admitted beyond {limit}: {stats:?}")),
        _ => Ok(()),
    }
}

#[test]
fn the_check_of_the_bounds_finds_a_permit_too_many() {
    let good = LimitStats { limit: 4, in_flight: 4, in_flight_max: 4, waiting: 8, refused: 0 };
    assert_eq!(check(good, Some(4), 8), Ok(()));
    assert!(check(LimitStats { in_flight: 5, ..good }, Some(4), 8).is_err());
    assert!(check(LimitStats { waiting: 9, ..good }, None, 8).is_err());
}

type Waiter<'a> = BoxFuture<'a, Result<Permit>>;

/// Polls everyone who waits once; those whose turn it is hold their permit from then on.
fn poll_all(waiters: &mut Vec<Waiter<'_>>, permits: &mut Vec<Permit>) {
    waiters.retain_mut(|waiter| match waiter.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => {
            permits.extend(outcome.ok());
            false
        }
        Poll::Pending => true,
    });
}

proptest! {
    #[test]
    fn calls_are_never_admitted_beyond_the_limit_nor_queued_beyond_the_bound(
        steps in prop::collection::vec((0u8..6, 0usize..64, 0u64..200), 1..400)
    ) {
        const MAX: usize = 12;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let _entered = runtime.enter();
        let (limit, clock) = limit(4, MAX);
        let (mut waiters, mut permits): (Vec<Waiter<'_>>, Vec<Permit>) = Default::default();
        for (step, place, ms) in steps {
            let before = limit.stats();
            match step {
                0..=2 => {
                    waiters.push(Box::pin(limit.acquire("test")));
                }
                3 if !waiters.is_empty() => drop(waiters.remove(place % waiters.len())),
                4 if !permits.is_empty() => drop(permits.remove(place % permits.len())),
                5 if !permits.is_empty() => {
                    clock.advance_ms(ms);
                    let late = Err::<(), _>(Error::new(ErrorKind::Timeout, "test", "planted"));
                    let outcome = if ms > 150 { late } else { Ok(()) };
                    permits.remove(place % permits.len()).finish(&outcome);
                }
                _ => {}
            }
            poll_all(&mut waiters, &mut permits);
            let stats = limit.stats();
            let admitted = stats.in_flight > before.in_flight;
            let checked = check(stats, admitted.then_some(stats.limit.max(before.limit)), MAX);
            prop_assert!(checked.is_ok(), "{checked:?}");
            prop_assert_eq!(stats.in_flight, permits.len());
        }
        drop(permits);
        poll_all(&mut waiters, &mut Vec::new());
        drop(waiters);
        prop_assert_eq!(limit.stats().in_flight, 0);
    }
}
