// SPDX-License-Identifier: MIT OR Apache-2.0
//! A server, a cache on it, and a raw client beside it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use throughline_caches::{MemcachedCache, MemcachedConfig};
use throughline_core::{
    Cache, Clock, Entry, Fill, Fingerprint, Hit, Key, Lease, Lookup, Record, ResourceName, Result, Rng,
    Route, Slot,
};
use throughline_testkit::{Memcached, MemcachedOptions, TestTasks, TokioClock};

pub(crate) const TTL_MS: u64 = 60_000;
/// Far more than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Default settings but for time-outs that no busy machine reaches, for tests that are not about them.
pub(crate) fn patient(address: SocketAddr) -> MemcachedConfig {
    MemcachedConfig {
        // Two, so that what concerns one of several shows.
        connections: 2,
        get_timeout_ms: 10_000,
        mark_timeout_ms: 10_000,
        connect_timeout_ms: 10_000,
        ..MemcachedConfig::new(address.to_string())
    }
}

pub(crate) fn cache_on(config: MemcachedConfig) -> MemcachedCache {
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::start());
    // Two with one seed would give two servers the same number.
    static SEED: AtomicU64 = AtomicU64::new(7);
    let rng = Rng::from_seed(SEED.fetch_add(1, Ordering::Relaxed));
    MemcachedCache::connect(config, &clock, Arc::new(rng), &TestTasks)
}

/// A server started with `args` and a patient cache on it.
pub(crate) async fn house(args: &[&str]) -> (Memcached, MemcachedCache) {
    let server = started(args);
    let cache = cache_on(patient(server.address()));
    cache.probe().await.expect("the server was just started");
    (server, cache)
}

pub(crate) fn started(args: &[&str]) -> Memcached {
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    Memcached::start(MemcachedOptions { args, ..MemcachedOptions::default() })
}

pub(crate) fn slot(key: &str) -> Slot {
    let resource = ResourceName::new("item").expect("a valid name");
    Slot { resource, route: Route::default(), key: Key::parse(key).expect("a short key") }
}

pub(crate) fn entry(value: impl Into<Vec<u8>>) -> Entry {
    Entry { record: Some(Record::from_content(value.into())), fingerprint: Fingerprint::of(b"faults") }
}

pub(crate) async fn lease(cache: &MemcachedCache, slot: &Slot) -> Lease {
    match cache.get(slot).await {
        Ok(Lookup::Leased(lease)) => lease,
        other => panic!("expected a lease, got {other:?}"),
    }
}

pub(crate) async fn hit(cache: &MemcachedCache, slot: &Slot) -> Hit {
    match cache.get(slot).await {
        Ok(Lookup::Hit(hit)) => hit,
        other => panic!("expected a hit, got {other:?}"),
    }
}

pub(crate) async fn put(cache: &MemcachedCache, slot: &Slot, value: &str) {
    let lease = lease(cache, slot).await;
    assert_eq!(filled(cache, lease, entry(value)).await.expect("a healthy server"), Fill::Stored);
}

pub(crate) async fn filled(cache: &MemcachedCache, lease: Lease, entry: Entry) -> Result<Fill> {
    cache.fill(lease, entry, TTL_MS).await
}

/// Asks again and again until the answer is `Some`.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("never: {what}"))
}

pub(crate) fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// Sends `commands` as they are and returns everything that came back.
pub(crate) fn raw(address: SocketAddr, commands: impl AsRef<[u8]>) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.write_all(commands.as_ref()).expect("the server reads");
    stream.write_all(b"quit\r\n").expect("the server reads");
    let mut answers = Vec::new();
    stream.read_to_end(&mut answers).expect("the server answers and closes");
    answers
}

/// One of the server's own counters.
pub(crate) fn counted(address: SocketAddr, name: &str) -> u64 {
    let stats = String::from_utf8(raw(address, "stats\r\n")).expect("counters are text");
    let line =
        stats.lines().find_map(|line| line.strip_prefix("STAT ")?.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {stats}"))
}
