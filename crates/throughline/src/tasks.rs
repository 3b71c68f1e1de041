// SPDX-License-Identifier: MIT OR Apache-2.0
//! Background work that shutting down knows of.

use std::time::Duration;

use throughline_core::{BoxFuture, Tasks};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Runs background work on a tokio runtime and stops it on shutting down.
#[derive(Debug, Clone)]
pub struct TrackedTasks {
    runtime: Handle,
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl TrackedTasks {
    /// Tasks on `runtime`.
    pub fn new(runtime: Handle) -> Self {
        Self { runtime, tracker: TaskTracker::new(), stop: CancellationToken::new() }
    }

    /// How many are running.
    pub fn count(&self) -> usize {
        self.tracker.len()
    }

    /// Stops all work at its next `.await`, without waiting for it.
    pub fn stop(&self) {
        self.stop.cancel();
        self.tracker.close();
    }

    /// Ready when work was told to stop.
    pub(crate) async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// Stops all work at its next `.await` and waits for it, at most `limit`; whether all of it ended.
    pub async fn shut_down(&self, limit: Duration) -> bool {
        self.stop();
        tokio::time::timeout(limit, self.tracker.wait()).await.is_ok()
    }
}

impl Tasks for TrackedTasks {
    fn spawn(&self, name: &'static str, work: BoxFuture<'static, ()>) {
        if self.stop.is_cancelled() {
            return;
        }
        let stop = self.stop.clone();
        let until_stopped = async move {
            if stop.run_until_cancelled(work).await.is_none() {
                tracing::debug!(task = name, "stopped");
            }
        };
        self.tracker.spawn_on(until_stopped, &self.runtime);
    }
}

#[cfg(test)]
mod tests {
    use super::TrackedTasks;
    use std::time::Duration;
    use throughline_core::Tasks as _;
    use tokio::runtime::Handle;

    #[tokio::test(start_paused = true)]
    async fn shutting_down_ends_work_that_would_go_on_for_ever() {
        let tasks = TrackedTasks::new(Handle::current());
        tasks.spawn("wait for ever", Box::pin(std::future::pending()));
        assert_eq!(tasks.count(), 1);
        assert!(tasks.shut_down(Duration::from_secs(1)).await);
        tasks.spawn("too late", Box::pin(async { unreachable!("nothing starts after shutting down") }));
        assert_eq!(tasks.count(), 0);
    }
}
