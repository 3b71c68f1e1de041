// SPDX-License-Identifier: MIT OR Apache-2.0
//! A hit in process memory allocates nothing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in what its tests share")]

use std::alloc::System;
use std::pin::pin;
use std::task::{Context, Waker};

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use throughline::config::Settings;
use throughline::{Assembly, Key};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Allocations of `work`. The runtime's own threads may allocate meanwhile, so the least of several runs counts.
fn allocations(mut work: impl FnMut()) -> usize {
    let run = |_| {
        let region = Region::new(ALLOCATOR);
        work();
        region.change().allocations
    };
    (0..20).map(run).min().expect("twenty runs")
}

#[test]
fn a_hit_allocates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let throughline =
        runtime.block_on(Assembly::new(Settings::sample(folder.path().to_owned())).open()).unwrap();
    let space = &throughline.listing("person").unwrap().space;
    let key = Key::parse("1").unwrap();
    runtime.block_on(space.get(&key)).unwrap();
    let poll = || {
        let read = pin!(space.get(&key)).poll(&mut Context::from_waker(Waker::noop()));
        assert!(read.is_ready(), "a hit does not wait");
    };
    assert_eq!(allocations(poll), 0);
    assert_eq!(allocations(|| assert!(space.try_get("1").is_some())), 0);
    let boxed = allocations(|| drop(std::hint::black_box(Box::new(1_u64))));
    assert_eq!(boxed, 1, "the counter counts");
}
