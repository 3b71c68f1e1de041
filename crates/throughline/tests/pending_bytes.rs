// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an accepted write that is not applied takes, beside its value: in memory, and in the journal.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it counted"
)]

use std::alloc::System;
use std::path::Path;
use std::sync::Arc;

use futures_util::future::join_all;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, Stats, StatsAlloc};
use throughline::config::Settings;
use throughline::{Assembly, Change, Condition, Effect, Key, Space, Target, Throughline, Write};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const WRITES: usize = 16_384;
/// Bytes of a value.
const VALUE: usize = 200;
/// More than what is counted by a third, so that a wasteful change is noticed: see docs/performance.md.
const MEMORY_MAX: f64 = 600.0;
/// A record's frame (24 bytes, and zeros to a multiple of 8) with resource, lane, key, time and the like.
const DISK_MAX: f64 = 80.0;

async fn open(folder: &Path) -> Throughline {
    let path = folder.join("shop.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    let schema = "CREATE TABLE item (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT";
    connection.execute_batch(schema).unwrap();
    let text = format!(
        "data_dir = \"{}\"\n[sources.shop]\nurl = \"sqlite:{}\"\n[resources.item]\nsource = \"shop\"\naccess = \"write\"\n\
         cache = \"none\"\nwrite = \"write-behind\"\nbehind = {{ delay = \"never\", count = 1000000 }}\n",
        folder.join("data").display(),
        path.display()
    );
    let settings = Settings::parse(&text, &|_| None).unwrap();
    throughline::install(&settings).await.unwrap();
    Assembly::new(settings).open().await.unwrap()
}

/// Accepts writes of the keys from `first` on, many at once, so that they share their syncs.
async fn accept(space: &Arc<Space>, first: usize, count: usize) {
    let accept_one = async |id: usize| {
        let body = "-".repeat(VALUE - "{\"id\":00000,\"body\":\"\"}".len());
        let value = format!("{{\"id\":{id},\"body\":\"{body}\"}}");
        assert_eq!(value.len(), VALUE);
        let target = Target::Key(Key::parse(&id.to_string()).unwrap());
        let change = Change::Put { value: value.into(), flags: 0 };
        let effect = space.write(Write { target, change, condition: Condition::Always }).await.unwrap();
        assert!(matches!(effect, Effect::Accepted { .. }));
    };
    for first in (first..first + count).step_by(256) {
        join_all((first..first + 256).map(accept_one)).await;
    }
}

fn kept(stats: &Stats) -> f64 {
    // What a reallocation adds is in both already.
    stats.bytes_allocated as f64 - stats.bytes_deallocated as f64
}

/// Bytes of the journal's segments that are used: what was allocated for later is zeros.
fn used(folder: &Path) -> usize {
    let paths = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let segments = paths.filter(|path| path.extension().is_some_and(|name| name == "log"));
    let used =
        |path| std::fs::read(path).unwrap().iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    segments.map(used).sum()
}

#[test]
fn a_pending_write_takes_little_beside_its_value() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let throughline = runtime.block_on(open(folder.path()));
    let space = throughline.listing("item").unwrap().space.clone();
    // The first ones meet what is made once.
    runtime.block_on(accept(&space, 10_000, 256));
    let journal = folder.path().join("data/journal/writes");
    let (region, before) = (Region::new(ALLOCATOR), used(&journal));
    runtime.block_on(accept(&space, 20_000, WRITES));
    let in_memory = kept(&region.change()) / WRITES as f64;
    let on_disk = (used(&journal) - before) as f64 / WRITES as f64;
    println!("values of {VALUE} bytes: {in_memory:.0} bytes in memory, {on_disk:.0} on disk");
    assert!(in_memory > VALUE as f64, "the counter counts: {in_memory}");
    assert!(in_memory - VALUE as f64 <= MEMORY_MAX, "{in_memory} bytes in memory");
    assert!((VALUE as f64..=VALUE as f64 + DISK_MAX).contains(&on_disk), "{on_disk} bytes on disk");
    assert_eq!(throughline.listing("item").unwrap().behind.as_ref().unwrap().pending_count(), WRITES + 256);
}
