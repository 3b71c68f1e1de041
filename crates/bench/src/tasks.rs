// SPDX-License-Identifier: MIT OR Apache-2.0
//! A load generator for calls of our own process: tasks that call until the time is over.

use std::future::Future;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// Runs `task` in `count` tasks for `time`; each is told its place and the end, and says how many operations it did.
/// Operations per second.
pub fn rate<F: Future<Output = usize> + Send + 'static>(
    runtime: &Runtime,
    count: usize,
    time: Duration,
    task: impl Fn(usize, Instant) -> F,
) -> f64 {
    let began = Instant::now();
    let until = began + time;
    let counts = runtime.block_on(async {
        let tasks: JoinSet<usize> = (0..count).map(|place| task(place, until)).collect();
        tasks.join_all().await
    });
    counts.iter().sum::<usize>() as f64 / began.elapsed().as_secs_f64()
}
