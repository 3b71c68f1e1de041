// SPDX-License-Identifier: MIT OR Apache-2.0
//! Prints what a hit in process memory costs beside quick_cache's own look-up of the same value.
//!
//! `cargo run --release -p throughline-caches --example hit_ratio`

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement that is read on a terminal"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use quick_cache::sync::Cache as Plain;
use throughline_caches::{MemoryCache, MemoryConfig};
use throughline_core::{
    Cache, Clock, Entry, Fingerprint, Generation, Key, LocalCache, Lookup, Record, ResourceName, Route, Slot,
    SlotRef, Tick,
};

const KEYS: usize = 10_000;
const ROUNDS: usize = 60;

#[derive(Debug)]
struct StandingClock;

impl Clock for StandingClock {
    fn now(&self) -> Tick {
        Tick::from_ms(1)
    }
}

fn main() {
    let resource = ResourceName::new("person").expect("a name");
    let clock: Arc<dyn Clock> = Arc::new(StandingClock);
    let cache = MemoryCache::new(&MemoryConfig::default(), clock);
    let plain: Plain<Key, Bytes> = Plain::new(4 * KEYS);
    // Visited in an order unlike the one of insertion, so that neither side profits from neighbours in memory.
    let keys: Vec<Key> = (0..KEYS).map(|n| (n * 7_919) % KEYS).map(key).collect();
    for n in 0..KEYS {
        let value = Bytes::from(vec![b'v'; 100]);
        plain.insert(key(n), value.clone());
        fill(&cache, &resource, key(n), value);
    }
    let local: &dyn LocalCache = &cache;
    let generation = Generation::default();
    let (mut ours, mut theirs) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        theirs = theirs.min(timed(&keys, |key| plain.get(key).is_some()));
        ours = ours.min(timed(&keys, |key| {
            let slot = SlotRef { resource: &resource, generation, key: key.as_str() };
            black_box(local.try_get(slot)).is_some()
        }));
    }
    let per_hit = |whole: Duration| whole.as_nanos() as f64 / KEYS as f64;
    println!(
        "hit {:.1} ns, quick_cache {:.1} ns, ratio {:.2} (best of {ROUNDS} rounds of {KEYS} keys)",
        per_hit(ours),
        per_hit(theirs),
        ours.as_secs_f64() / theirs.as_secs_f64(),
    );
}

fn key(n: usize) -> Key {
    Key::parse(&format!("{n}")).expect("a key")
}

fn timed(keys: &[Key], look: impl Fn(&Key) -> bool) -> Duration {
    let start = Instant::now();
    let hits = keys.iter().filter(|key| look(black_box(key))).count();
    assert_eq!(hits, keys.len(), "every key is there");
    start.elapsed()
}

fn fill(cache: &MemoryCache, resource: &ResourceName, key: Key, value: Bytes) {
    let slot = Slot { resource: resource.clone(), route: Route::default(), key };
    let entry = Entry { record: Some(Record::from_content(value)), fingerprint: Fingerprint::default() };
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let mut look = cache.get(&slot);
    let std::task::Poll::Ready(Ok(Lookup::Leased(lease))) = look.as_mut().poll(&mut context) else {
        unreachable!("an empty slot is leased at once")
    };
    drop(cache.fill(lease, entry, 300_000));
}
