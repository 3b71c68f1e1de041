// SPDX-License-Identifier: MIT OR Apache-2.0
//! What does a hit cost through a resource, beside quick_cache's own get of the same value?
//!
//! Ours: `Space::get` of a prepared key, polled to its end: mode, generation, look-up, expiry, fingerprint,
//! counter. Peer: `quick_cache::sync::Cache::get` of the same keys and `Bytes` values, with the same hasher. Both
//! in one thread; allocations are counted by a test (`crates/throughline/tests/hit_allocations.rs`).

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use quick_cache::UnitWeighter;
use quick_cache::sync::{Cache, DefaultLifecycle};
use throughline::config::Settings;
use throughline::{Access, Assembly, Key, Rng};
use throughline_bench::{Claim, Rounds, print_machine};

const SEED: u64 = 1;
/// From what fits the processor's own caches to what does not.
const KEY_COUNTS: [u64; 3] = [1_000, 10_000, 200_000];
const ROUNDS: usize = 25;
const GETS: usize = 500_000;

fn main() {
    print_machine("a hit through a resource in process memory, beside quick_cache's own get", SEED);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    for key_count in KEY_COUNTS {
        measure(&runtime, key_count);
    }
}

fn measure(runtime: &tokio::runtime::Runtime, key_count: u64) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hit.db");
    make_table(&path, key_count);
    let url = format!("sqlite:{}", path.display());
    let settings = Settings::of_url(&url, Access::Write).unwrap();
    let throughline = runtime.block_on(Assembly::new(settings).open()).unwrap();
    let space = &throughline.listing("item").unwrap().space;
    let keys: Vec<Key> = (0..key_count).map(|id| Key::parse(&id.to_string()).unwrap()).collect();
    let peer: Cache<Key, Bytes, UnitWeighter, foldhash::fast::RandomState> = Cache::with(
        2 * key_count as usize,
        2 * key_count,
        UnitWeighter,
        foldhash::fast::RandomState::default(),
        DefaultLifecycle::default(),
    );
    for keys in keys.chunks(1_000) {
        for (key, read) in keys.iter().zip(runtime.block_on(space.get_many(keys))) {
            // A copy: neither side's reference counts are in the other's cache lines.
            peer.insert(key.clone(), Bytes::copy_from_slice(&read.unwrap().record().unwrap().value));
        }
    }
    let rng = Rng::from_seed(SEED);
    let order: Vec<&Key> = (0..GETS).map(|_| &keys[rng.below(key_count) as usize]).collect();
    // A task is polled with one context, however many reads it awaits meanwhile.
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let (mut with_future, mut without) = (Rounds::default(), Rounds::default());
    for _ in 0..ROUNDS {
        let peers = time(&order, |key| assert!(black_box(peer.get(*black_box(key))).is_some()));
        let ours = time(&order, |key| assert!(black_box(space.try_get(key.as_str())).is_some()));
        without.add(ours, peers);
        let ours = time(&order, |key| {
            let mut get = std::pin::pin!(space.get(key));
            assert!(get.as_mut().poll(&mut context).is_ready(), "a hit does not wait");
        });
        with_future.add(ours, peers);
    }
    with_future.print(&format!("hit, {key_count} keys"), "quick_cache", "ns", Claim::AtMost(1.3));
    without.print(
        &format!("hit without a future, {key_count} keys"),
        "quick_cache",
        "ns",
        Claim::AtMost(1.3),
    );
    runtime.block_on(throughline.shut_down(std::time::Duration::from_secs(1)));
}

/// Nanoseconds per key.
fn time(order: &[&Key], mut get: impl FnMut(&&Key)) -> f64 {
    let began = Instant::now();
    order.iter().for_each(&mut get);
    began.elapsed().as_nanos() as f64 / order.len() as f64
}

/// Rows whose JSON is about 100 bytes.
fn make_table(path: &std::path::Path, key_count: u64) {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection
        .execute_batch("CREATE TABLE item (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT; BEGIN")
        .unwrap();
    for id in 0..key_count {
        let body = format!("{id:->80}");
        connection.execute("INSERT INTO item VALUES (?1, ?2)", rusqlite::params![id as i64, body]).unwrap();
    }
    connection.execute_batch("COMMIT").unwrap();
}
