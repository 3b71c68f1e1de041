// SPDX-License-Identifier: MIT OR Apache-2.0
//! The trace: one line per call, with the time since the story began.

use crate::out::say;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// Prints who was called when. A clone prints to the same trace.
#[derive(Clone, Debug)]
pub(super) struct Trace {
    began: Arc<std::sync::Mutex<Instant>>,
}

impl Default for Trace {
    fn default() -> Self {
        Self { began: Arc::new(std::sync::Mutex::new(Instant::now())) }
    }
}

impl Trace {
    pub(super) fn title(&self, title: &str) {
        say!("\n{title}\n{}", "=".repeat(title.len()));
    }

    /// Tells what comes next and starts the time anew.
    pub(super) fn say(&self, what: &str) {
        say!("\n  {what}");
        *self.began.lock().expect("no one panics while printing") = Instant::now();
    }

    pub(super) fn event(&self, who: &str, what: &str) {
        let since: Duration = self.began.lock().expect("no one panics while printing").elapsed();
        say!("    {:>6} ms  {who:<7} {what}", since.as_millis());
    }
}
