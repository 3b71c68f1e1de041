// SPDX-License-Identifier: MIT OR Apache-2.0
//! Workers: tasks that each own one connection and take their work from one queue. What one does with its connection is
//! its server's matter; here is what its callers see, and what becomes of them while no connection can be made.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use throughline_core::{Error, ErrorKind, Result, Retry};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};

use super::closed;
use crate::queue::{Declined, Job, Queue};

/// The first and the longest pause between two attempts to connect.
const PAUSE_MS_MIN: u64 = 25;
const PAUSE_MS_MAX: u64 = 1_000;

/// The workers for one sort of work, as their callers see them; they end when this is dropped.
pub(crate) struct Workers<J: Job> {
    queue: Arc<Queue<J>>,
}

impl<J: Job> fmt::Debug for Workers<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").finish_non_exhaustive()
    }
}

impl<J: Job> Workers<J> {
    /// Those that take their work from `queue`.
    pub(crate) fn of(queue: Arc<Queue<J>>) -> Self {
        Self { queue }
    }

    /// Hands a job to the next free worker and waits for its answer. Workers have time-outs of their own; `limit` is
    /// for a queue that does not move, and then the error says `late`.
    pub(crate) async fn ask<T>(
        &self,
        operation: &'static str,
        limit: Duration,
        late: impl FnOnce() -> String,
        job: impl FnOnce(oneshot::Sender<Result<T>>) -> J,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.queue.push(job(reply)).map_err(|declined| match declined {
            Declined::Closed => closed(operation),
            Declined::Full => Error::new(
                ErrorKind::Overloaded,
                operation,
                "as many requests as may wait for a connection do so already",
            ),
        })?;
        match timeout(limit, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(closed(operation)),
            Err(_) => Err(Error::new(ErrorKind::Timeout, operation, late()).with_retry(Retry::Safe)),
        }
    }

    /// Lets no job in any more; the workers end when they have done the rest.
    pub(crate) fn close(&self) {
        self.queue.close();
    }
}

impl<J: Job> Drop for Workers<J> {
    fn drop(&mut self) {
        self.close();
    }
}

/// What one worker makes of its attempts to connect.
pub(crate) struct Attempts<J: Job> {
    queue: Arc<Queue<J>>,
    /// How many workers of this sort have a connection.
    open_count: Arc<AtomicUsize>,
    pause_ms: u64,
}

impl<J: Job> Attempts<J> {
    /// Those of `count` workers that take their work from `queue`.
    pub(crate) fn of_each(count: usize, queue: &Arc<Queue<J>>) -> impl Iterator<Item = Self> {
        let open_count = Arc::new(AtomicUsize::new(0));
        let queue = Arc::clone(queue);
        (0..count).map(move |_| Self {
            queue: Arc::clone(&queue),
            open_count: Arc::clone(&open_count),
            pause_ms: PAUSE_MS_MIN,
        })
    }

    /// Counts a connection that was made, for as long as what is returned lives.
    pub(crate) fn succeeded(&mut self) -> Counted {
        self.pause_ms = PAUSE_MS_MIN;
        self.open_count.fetch_add(1, Ordering::SeqCst);
        Counted(Arc::clone(&self.open_count))
    }

    /// Leaves `batch` to a worker that has a connection, or refuses it, and waits before the next attempt. Meanwhile
    /// jobs are refused at once, unless another worker has a connection: then they are left to it.
    pub(crate) async fn failed(&mut self, batch: Vec<J>, error: &Error) {
        let error = unavailable(error);
        if self.open_count.load(Ordering::SeqCst) > 0 {
            self.queue.give_back(batch);
        } else {
            refuse_all(batch, &error);
        }
        let until = Instant::now() + Duration::from_millis(self.pause_ms);
        self.pause_ms = (self.pause_ms * 2).min(PAUSE_MS_MAX);
        while self.open_count.load(Ordering::SeqCst) == 0 {
            tokio::select! {
                () = sleep_until(until) => return,
                batch = self.queue.take() => match batch {
                    Some(batch) => refuse_all(batch, &error),
                    None => return,
                },
            }
        }
        sleep_until(until).await;
    }
}

/// A connection that is counted while it is there.
pub(crate) struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Refuses more than a call may hold.
pub(crate) fn check_count(operation: &'static str, count: usize, max: usize) -> Result<()> {
    if count <= max {
        return Ok(());
    }
    let detail = format!("{count} at once, at most {max} are taken");
    Err(Error::new(ErrorKind::TooLarge, operation, detail))
}

/// Refuses a batch whose connection was lost twice in a row before anything was done.
pub(crate) fn refuse_lost(batch: Vec<impl Job>, operation: &'static str) {
    let detail = "the connection was lost twice in a row";
    refuse_all(batch, &Error::new(ErrorKind::Unavailable, operation, detail));
}

fn refuse_all(batch: Vec<impl Job>, error: &Error) {
    for job in batch {
        job.refuse(error.clone());
    }
}

/// What a caller is told when no connection can be made: whatever the reason, nothing was done, and it may
/// be better soon.
fn unavailable(error: &Error) -> Error {
    match error.kind() {
        ErrorKind::Timeout => {
            Error::new(ErrorKind::Unavailable, error.operation(), error.detail().to_owned())
        }
        _ => error.clone(),
    }
}
