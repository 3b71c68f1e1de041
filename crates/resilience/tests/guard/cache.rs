// SPDX-License-Identifier: MIT OR Apache-2.0
//! The breaker in front of a cache that answers late.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use throughline_core::{
    BoxFuture, Cache, Entry, Error, ErrorKind, Fill, Hit, Lease, Lookup, Mark, Result, Rng, Scope, Slot,
    Touch,
};
use throughline_resilience::{Breaker, BreakerConfig, BreakerState, break_look_ups};
use throughline_testkit::TokioClock;
use tokio::time::{Duration, Instant};

/// A cache server that stands still, or answers "busy" and confirms; it counts what reaches it.
#[derive(Debug, Default)]
struct Server {
    stands: AtomicBool,
    looks: AtomicU64,
    marks: AtomicU64,
    others: AtomicU64,
}

impl Server {
    async fn answer<T>(&self, limit_ms: u64, answer: T) -> Result<T> {
        if !self.stands.load(Ordering::SeqCst) {
            return Ok(answer);
        }
        tokio::time::sleep(Duration::from_millis(limit_ms)).await;
        Err(Error::new(ErrorKind::Timeout, "ask the cache", "planted"))
    }

    fn other(&self) {
        self.others.fetch_add(1, Ordering::SeqCst);
    }
}

impl Cache for Server {
    fn scope(&self) -> Scope {
        Scope::Shared
    }

    fn get<'a>(&'a self, _slot: &'a Slot) -> BoxFuture<'a, Result<Lookup>> {
        self.looks.fetch_add(1, Ordering::SeqCst);
        Box::pin(self.answer(20, Lookup::Busy))
    }

    fn get_many<'a>(&'a self, slots: &'a [Slot]) -> BoxFuture<'a, Vec<Result<Lookup>>> {
        self.looks.fetch_add(1, Ordering::SeqCst);
        Box::pin(async {
            let answer = self.answer(20, ()).await;
            slots.iter().map(|_| answer.clone().map(|()| Lookup::Busy)).collect()
        })
    }

    fn peek<'a>(&'a self, _slot: &'a Slot) -> BoxFuture<'a, Result<Option<Hit>>> {
        self.looks.fetch_add(1, Ordering::SeqCst);
        Box::pin(self.answer(20, None))
    }

    fn fill(&self, _lease: Lease, _entry: Entry, _ttl_ms: u64) -> BoxFuture<'static, Result<Fill>> {
        self.other();
        Box::pin(async { Ok(Fill::Stored) })
    }

    fn release(&self, _lease: Lease) {
        self.other();
    }

    fn mark<'a>(&'a self, slots: &'a [Slot]) -> BoxFuture<'a, Vec<Result<Mark>>> {
        self.marks.fetch_add(1, Ordering::SeqCst);
        Box::pin(async {
            let answer = self.answer(100, ()).await;
            let mark = |slot: &Slot| Mark { slot: slot.clone(), token: None };
            slots.iter().map(|slot| answer.clone().map(|()| mark(slot))).collect()
        })
    }

    fn publish(&self, _mark: Mark, _entry: Entry, _ttl_ms: u64) -> BoxFuture<'static, Result<Fill>> {
        self.other();
        Box::pin(async { Ok(Fill::Stored) })
    }

    fn unmark(&self, _mark: Mark) {
        self.other();
    }

    fn invalidate<'a>(&'a self, slots: &'a [Slot]) -> BoxFuture<'a, Vec<Result<()>>> {
        self.marks.fetch_add(1, Ordering::SeqCst);
        Box::pin(async {
            let answer = self.answer(100, ()).await;
            slots.iter().map(|_| answer.clone()).collect()
        })
    }

    fn touch<'a>(&'a self, _slot: &'a Slot, _ttl_ms: u64) -> BoxFuture<'a, Result<Touch>> {
        self.other();
        Box::pin(async { Ok(Touch::Absent) })
    }
}

fn slot() -> Slot {
    use throughline_core::{Generation, Key, NodeId, ResourceName, Route};
    let route = Route { node: NodeId(0), generation: Generation { node: 0, resource: 0 } };
    Slot { resource: ResourceName::new("person").unwrap(), route, key: Key::parse("1").unwrap() }
}

fn guarded() -> (Arc<Server>, Breaker, Arc<dyn Cache>) {
    let (clock, rng) = (Arc::new(TokioClock::start()), Arc::new(Rng::from_seed(8)));
    let breaker = Breaker::new("cache `main`".to_owned(), BreakerConfig::default(), clock, rng);
    let server = Arc::new(Server::default());
    let cache = break_look_ups(server.clone(), vec![breaker.clone()]);
    (server, breaker, cache)
}

#[tokio::test(start_paused = true)]
async fn look_ups_of_a_cache_that_stands_still_wait_only_until_the_breaker_opens() {
    let (server, breaker, cache) = guarded();
    let (slot, began) = (slot(), Instant::now());
    server.stands.store(true, Ordering::SeqCst);
    for _ in 0..1_000 {
        cache.get(&slot).await.unwrap_err();
        cache.peek(&slot).await.unwrap_err();
        assert!(cache.get_many(std::slice::from_ref(&slot)).await[0].is_err());
    }
    assert_eq!((server.looks.load(Ordering::SeqCst), began.elapsed()), (5, Duration::from_millis(100)));
    server.stands.store(false, Ordering::SeqCst);
    tokio::time::advance(Duration::from_millis(320)).await;
    assert!(matches!(cache.get(&slot).await, Ok(Lookup::Busy)));
    assert_eq!(breaker.stats().state, BreakerState::Closed);
    assert!(matches!(cache.get(&slot).await, Ok(Lookup::Busy)));
}

#[tokio::test(start_paused = true)]
async fn marks_and_invalidations_reach_the_cache_although_the_breaker_is_open() {
    let (server, breaker, cache) = guarded();
    let slots = [slot()];
    server.stands.store(true, Ordering::SeqCst);
    for _ in 0..5 {
        cache.get(&slots[0]).await.unwrap_err();
    }
    assert_eq!(breaker.stats().state, BreakerState::Open);
    assert_eq!(cache.mark(&slots).await[0].as_ref().unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(cache.invalidate(&slots).await[0].as_ref().unwrap_err().kind(), ErrorKind::Timeout);
    server.stands.store(false, Ordering::SeqCst);
    assert_ne!(breaker.stats().state, BreakerState::Closed, "nothing was looked up since");
    let mark = cache.mark(&slots).await.remove(0).unwrap();
    cache.unmark(mark);
    let mark = cache.mark(&slots).await.remove(0).unwrap();
    let entry = || Entry { record: None, fingerprint: throughline_core::Fingerprint::of(b"test") };
    cache.publish(mark, entry(), 1_000).await.unwrap();
    let lease = || Lease { slot: slot(), token: throughline_core::Token { connection: 1, number: 1 } };
    cache.fill(lease(), entry(), 1_000).await.unwrap();
    cache.release(lease());
    cache.touch(&slots[0], 1_000).await.unwrap();
    cache.invalidate(&slots).await.remove(0).unwrap();
    let reached = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
    assert_eq!((reached(&server.marks), reached(&server.others)), (5, 5));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stands_still_takes_no_other_with_it() {
    let (server, breaker, _) = guarded();
    let (clock, rng) = (Arc::new(TokioClock::start()), Arc::new(Rng::from_seed(8)));
    let other = Breaker::new("the other".to_owned(), BreakerConfig::default(), clock, rng);
    let cache = break_look_ups(server.clone(), vec![breaker.clone(), other.clone()]);
    server.stands.store(true, Ordering::SeqCst);
    for _ in 0..5 {
        cache.get(&slot()).await.unwrap_err();
    }
    server.stands.store(false, Ordering::SeqCst);
    let mut beside = slot();
    beside.route.node.0 = 1;
    let answers = cache.get_many(&[slot(), beside.clone(), slot(), beside]).await;
    let answered: Vec<bool> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(answered, [false, true, false, true]);
    assert_eq!((breaker.stats().state, other.stats().state), (BreakerState::Open, BreakerState::Closed));
}
