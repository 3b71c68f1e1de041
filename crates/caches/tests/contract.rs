// SPDX-License-Identifier: MIT OR Apache-2.0
//! The caches that keep the promises of `throughline_testkit::contract::cache`.

use std::sync::Arc;

use throughline_caches::{MemoryCache, MemoryConfig};
use throughline_testkit::ManualClock;
use throughline_testkit::contract::cache::{CacheSubject, Passage};

mod memory {
    use super::memory_subject;

    throughline_testkit::cache_contract!(memory_subject());
}

async fn memory_subject() -> CacheSubject {
    let clock = Arc::new(ManualClock::default());
    let config = MemoryConfig {
        capacity_bytes: 16 * 1024 * 1024,
        ..MemoryConfig::default()
    };
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
