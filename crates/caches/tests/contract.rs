// SPDX-License-Identifier: MIT OR Apache-2.0
//! The caches that keep the promises of `throughline_testkit::contract::cache`.

use std::any::Any;
use std::sync::Arc;

use throughline_caches::{
    MemcachedCache, MemcachedConfig, MemcachedServer, MemoryCache, MemoryConfig, TieredCache,
};
use throughline_core::{Cache, Clock, NodeName, Rng};
use throughline_testkit::contract::cache::{CacheSubject, Passage};
use throughline_testkit::{ManualClock, Memcached, MemcachedOptions, RoutedCache, TestTasks, TokioClock};

mod memcached {
    use super::memcached_subject;

    throughline_testkit::cache_contract!(memcached_subject());
}

mod several_memcached {
    use super::several_subject;

    throughline_testkit::cache_contract!(several_subject());
}

mod validated_over_memcached {
    use super::validated_subject;

    throughline_testkit::cache_contract!(validated_subject());
}

mod for_ttl_over_memory {
    use super::for_ttl_subject;

    throughline_testkit::cache_contract!(for_ttl_subject());
}

mod memory {
    use super::memory_subject;

    throughline_testkit::cache_contract!(memory_subject());
}

async fn memory_subject() -> CacheSubject {
    memory_subject_on(&Arc::new(ManualClock::default()))
}

fn memory_subject_on(clock: &Arc<ManualClock>) -> CacheSubject {
    let config = MemoryConfig { capacity_bytes: 16 * 1024 * 1024, ..MemoryConfig::default() };
    CacheSubject {
        cache: Arc::new(MemoryCache::new(&config, clock.clone())),
        passage: Passage::Manual(clock.clone()),
        lease_ms: 5_000,
        mark_ms: 10_000,
        large_len: 1024 * 1024,
        too_large_len: 5 * 1024 * 1024,
        keep: Box::new(()),
    }
}

async fn for_ttl_subject() -> CacheSubject {
    let clock = Arc::new(ManualClock::default());
    let subject = memory_subject_on(&clock);
    // Longer than any entry of the suite lives, so that L1 answers whenever it may.
    let cache = TieredCache::for_ttl(subject.cache, 3_600_000, 16 * 1024 * 1024, clock);
    CacheSubject { cache: Arc::new(cache), ..subject }
}

async fn validated_subject() -> CacheSubject {
    let server = Memcached::start(MemcachedOptions::default());
    let cache = connected(MemcachedConfig::new(server.address().to_string())).await;
    let clock = Arc::new(TokioClock::start());
    on_servers(TieredCache::validated(Arc::new(cache), 16 * 1024 * 1024, clock), Box::new(server))
}

async fn memcached_subject() -> CacheSubject {
    let server = Memcached::start(MemcachedOptions::default());
    let cache = connected(MemcachedConfig::new(server.address().to_string())).await;
    on_servers(cache, Box::new(server))
}

async fn several_subject() -> CacheSubject {
    let servers = ["a", "b", "c"].map(|name| (name, Memcached::start(MemcachedOptions::default())));
    let server = |(name, server): &(&str, Memcached)| MemcachedServer {
        name: NodeName::new(name).expect("a short name"),
        address: server.address().to_string(),
    };
    let config =
        MemcachedConfig { connections: 1, ..MemcachedConfig::over(servers.iter().map(server).collect()) };
    let cache = Arc::new(connected(config).await);
    on_servers(RoutedCache::new(cache), Box::new(servers))
}

async fn connected(config: MemcachedConfig) -> MemcachedCache {
    // Long time-outs: the tests of one file run beside each other, and none of these is about time-outs.
    let config = MemcachedConfig {
        get_timeout_ms: 10_000,
        mark_timeout_ms: 10_000,
        connect_timeout_ms: 10_000,
        ..config
    };
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::start());
    let cache = MemcachedCache::connect(config, &clock, Arc::new(Rng::from_seed(1)), &TestTasks);
    cache.probe().await.expect("the servers were just started");
    cache
}

fn on_servers(cache: impl Cache, keep: Box<dyn Any + Send + Sync>) -> CacheSubject {
    CacheSubject {
        cache: Arc::new(cache),
        passage: Passage::Real,
        lease_ms: 5_000,
        mark_ms: 10_000,
        large_len: 1024 * 1024 - 2 * 1024,
        too_large_len: 1024 * 1024,
        keep,
    }
}
