// SPDX-License-Identifier: MIT OR Apache-2.0
//! The caches that keep the promises of `throughline_testkit::contract::cache`.

use std::sync::Arc;

use throughline_caches::{MemcachedCache, MemcachedConfig, MemoryCache, MemoryConfig};
use throughline_core::{Clock, Rng};
use throughline_testkit::contract::cache::{CacheSubject, Passage};
use throughline_testkit::{ManualClock, Memcached, MemcachedOptions, TestTasks, TokioClock};

mod memcached {
    use super::memcached_subject;

    throughline_testkit::cache_contract!(memcached_subject());
}

mod memory {
    use super::memory_subject;

    throughline_testkit::cache_contract!(memory_subject());
}

async fn memory_subject() -> CacheSubject {
    let clock = Arc::new(ManualClock::default());
    let config = MemoryConfig { capacity_bytes: 16 * 1024 * 1024, ..MemoryConfig::default() };
    CacheSubject {
        cache: Arc::new(MemoryCache::new(&config, clock.clone())),
        passage: Passage::Manual(clock),
        lease_ms: 5_000,
        mark_ms: 10_000,
        large_len: 1024 * 1024,
        too_large_len: 5 * 1024 * 1024,
        keep: Box::new(()),
    }
}

async fn memcached_subject() -> CacheSubject {
    let server = Memcached::start(MemcachedOptions::default());
    // Long time-outs: the tests of one file run beside each other, and none of these is about time-outs.
    let config = MemcachedConfig {
        get_timeout_ms: 10_000,
        mark_timeout_ms: 10_000,
        connect_timeout_ms: 10_000,
        ..MemcachedConfig::new(server.address().to_string())
    };
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::start());
    let cache = MemcachedCache::connect(config, &clock, Arc::new(Rng::from_seed(1)), &TestTasks);
    cache.probe().await.expect("the server was just started");
    CacheSubject {
        cache: Arc::new(cache),
        passage: Passage::Real,
        lease_ms: 5_000,
        mark_ms: 10_000,
        large_len: 1024 * 1024 - 2 * 1024,
        too_large_len: 1024 * 1024,
        keep: Box::new(server),
    }
}
