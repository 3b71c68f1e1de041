// SPDX-License-Identifier: MIT OR Apache-2.0
//! When a breaker opens, whom it lets through, and when it closes.

use std::sync::Arc;

use throughline_core::{Error, Retry, Rng};
use throughline_testkit::ManualClock;

use super::Health::{Bad, Good, Unknown};
use super::{Breaker, BreakerConfig, BreakerState, Health};

fn breaker() -> (Breaker, Arc<ManualClock>) {
    with(BreakerConfig::default())
}

fn with(config: BreakerConfig) -> (Breaker, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    let rng = Arc::new(Rng::from_seed(8));
    (Breaker::new("source `main`".to_owned(), config, clock.clone(), rng), clock)
}

fn call(breaker: &Breaker, health: Health) -> Result<(), Error> {
    breaker.admit("load a row").map(|pass| pass.settle(health))
}

fn opened() -> (Breaker, Arc<ManualClock>) {
    let (breaker, clock) = breaker();
    (0..5).for_each(|_| call(&breaker, Bad).expect("closed"));
    assert_eq!(breaker.stats().state, BreakerState::Open);
    (breaker, clock)
}

#[test]
fn failures_that_prevail_open_it_and_it_says_until_when() {
    let (breaker, _) = opened();
    let error = call(&breaker, Good).unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("cannot load a row: unavailable: the breaker of source `main` is open, "),
        "{text}"
    );
    assert!(text.ends_with(" ms"), "{text}");
    assert_eq!((error.retry(), breaker.stats().refused), (Retry::Safe, 1));
}

#[test]
fn fewer_failures_than_successes_leave_it_closed() {
    let (breaker, _) = breaker();
    for _ in 0..100 {
        call(&breaker, Bad).expect("closed");
        (0..2).for_each(|_| call(&breaker, Good).expect("closed"));
    }
}

#[test]
fn what_says_nothing_of_health_never_opens_it() {
    let (breaker, _) = breaker();
    (0..1_000).for_each(|_| call(&breaker, Unknown).expect("closed"));
}

#[test]
fn failures_of_long_ago_are_forgotten() {
    let (breaker, clock) = breaker();
    for _ in 0..20 {
        (0..4).for_each(|_| call(&breaker, Bad).expect("closed"));
        clock.advance_ms(10_001);
    }
}

#[test]
fn one_probe_at_a_time_is_let_through() {
    let (breaker, clock) = opened();
    clock.advance_ms(400);
    assert_eq!(breaker.stats().state, BreakerState::HalfOpen);
    let probe = breaker.admit("test").expect("the probe");
    let error = call(&breaker, Good).unwrap_err();
    assert!(error.to_string().ends_with("is open, a probe is under way"), "{error}");
    probe.settle(Good);
    assert_eq!(breaker.stats().state, BreakerState::Closed);
    call(&breaker, Good).expect("closed");
}

#[test]
fn a_failed_probe_opens_it_for_twice_as_long_up_to_the_longest_time() {
    let (breaker, clock) = opened();
    for least_ms in [250, 500, 1_000, 2_000, 2_000, 2_000] {
        clock.advance_ms(least_ms - 1);
        assert!(breaker.admit("test").is_err());
        clock.advance_ms(1 + least_ms / 4);
        call(&breaker, Bad).expect("the probe");
    }
    clock.advance_ms(2_500);
    call(&breaker, Good).expect("the probe");
    (0..5).for_each(|_| call(&breaker, Bad).expect("closed"));
    clock.advance_ms(250 + 63);
    assert!(breaker.admit("test").is_ok(), "the first time is short again");
}

#[test]
fn a_probe_that_is_dropped_leaves_the_probing_to_the_next() {
    let (breaker, clock) = opened();
    clock.advance_ms(400);
    drop(breaker.admit("test").expect("the probe"));
    call(&breaker, Unknown).expect("the next probe");
    call(&breaker, Good).expect("and the next");
    assert_eq!(breaker.stats().state, BreakerState::Closed);
}

#[test]
fn calls_from_before_say_nothing_about_after() {
    let (breaker, clock) = breaker();
    let late: Vec<_> = (0..20).map(|_| breaker.admit("test").expect("closed")).collect();
    (0..5).for_each(|_| call(&breaker, Bad).expect("closed"));
    clock.advance_ms(400);
    call(&breaker, Good).expect("the probe");
    late.into_iter().for_each(|pass| pass.settle(Bad));
    assert_eq!((breaker.stats().state, breaker.stats().opened), (BreakerState::Closed, 1));
}

#[test]
fn what_many_suffer_at_the_same_moment_opens_it_only_if_it_goes_on() {
    let (breaker, clock) = with(BreakerConfig { failing_ms_min: 60, ..BreakerConfig::default() });
    (0..100).for_each(|_| call(&breaker, Bad).expect("closed"));
    clock.advance_ms(59);
    call(&breaker, Bad).expect("closed");
    clock.advance_ms(1);
    call(&breaker, Bad).expect("closed");
    assert_eq!(breaker.stats().state, BreakerState::Open);
}
