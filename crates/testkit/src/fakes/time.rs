// SPDX-License-Identifier: MIT OR Apache-2.0
//! Time and tasks for tests on a tokio runtime.

use throughline_core::{BoxFuture, Clock, Tasks, Tick};
use tokio::time::Instant;

/// A clock that follows tokio's time, which a test can pause.
#[derive(Clone, Copy, Debug)]
pub struct TokioClock {
    origin: Instant,
}

impl TokioClock {
    /// A clock that begins now.
    pub fn start() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Tick {
        Tick::from_ms(self.origin.elapsed().as_millis() as u64)
    }
}

/// Background work on the test's own runtime, which ends with it.
#[derive(Clone, Copy, Debug)]
pub struct TestTasks;

impl Tasks for TestTasks {
    fn spawn(&self, _name: &'static str, work: BoxFuture<'static, ()>) {
        tokio::spawn(work);
    }
}
