// SPDX-License-Identifier: MIT OR Apache-2.0
//! Workers: tasks that each own one connection and take their work from one queue.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use throughline_core::{Error, ErrorKind, Result, Tasks};
use tokio::time::{Instant, sleep_until};

use super::client::{Role, Server, Session};
use crate::queue::{Declined, Job, Queue};
use crate::remote::closed;

/// The first and the longest pause between two attempts to connect.
const PAUSE_MS_MIN: u64 = 25;
const PAUSE_MS_MAX: u64 = 1_000;

/// Does the work of a batch over one connection.
pub(super) trait Work: Send + Sync + 'static {
    /// What it works on.
    type Job: Job;

    /// What its connections are for.
    const ROLE: Role;

    /// Answers every job of the batch, or hands the batch back when the connection was lost before anything
    /// was done, so that it may be tried once more on another.
    fn run(
        &self,
        session: &mut Session,
        batch: Vec<Self::Job>,
    ) -> impl Future<Output = std::result::Result<(), Vec<Self::Job>>> + Send;
}

/// The workers for one sort of work.
pub(super) struct Workers<J: Job> {
    queue: Arc<Queue<J>>,
}

impl<J: Job> fmt::Debug for Workers<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").finish_non_exhaustive()
    }
}

impl<J: Job> Workers<J> {
    /// Starts `count` workers; `first` is a connection that is already open.
    pub(super) fn start<W: Work<Job = J>>(
        name: &'static str,
        count: usize,
        weight_max: usize,
        server: &Arc<Server>,
        work: W,
        first: Option<Session>,
        tasks: &dyn Tasks,
    ) -> Self {
        let queue = Arc::new(Queue::new(server.config().queue_len_max, weight_max));
        let work = Arc::new(work);
        let open_count = Arc::new(AtomicUsize::new(0));
        let mut first = first;
        for _ in 0..count.max(1) {
            let worker = Worker {
                queue: Arc::clone(&queue),
                server: Arc::clone(server),
                work: Arc::clone(&work),
                open_count: Arc::clone(&open_count),
                pause_ms: PAUSE_MS_MIN,
            };
            tasks.spawn(name, Box::pin(worker.serve(first.take())));
        }
        Self { queue }
    }

    /// Hands a job to the next free worker.
    pub(super) fn give(&self, operation: &'static str, job: J) -> Result<()> {
        self.queue.push(job).map_err(|declined| match declined {
            Declined::Closed => closed(operation),
            Declined::Full => Error::new(
                ErrorKind::Overloaded,
                operation,
                "as many requests as may wait for a connection do so already",
            ),
        })
    }

    /// Lets no job in any more; the workers end when they have done the rest.
    pub(super) fn close(&self) {
        self.queue.close();
    }
}

impl<J: Job> Drop for Workers<J> {
    fn drop(&mut self) {
        self.close();
    }
}

/// One task with at most one connection.
struct Worker<W: Work> {
    queue: Arc<Queue<W::Job>>,
    server: Arc<Server>,
    work: Arc<W>,
    /// How many workers of this sort have a connection.
    open_count: Arc<AtomicUsize>,
    pause_ms: u64,
}

impl<W: Work> Worker<W> {
    async fn serve(mut self, first: Option<Session>) {
        let mut open = first.map(|session| Open::new(session, &self.open_count));
        while let Some(batch) = self.queue.take().await {
            // A connection may have died while it was idle, which only its next use tells: then the batch
            // comes back and is tried once on a new one.
            let Some(batch) = self.attempt(&mut open, batch).await else {
                continue;
            };
            if let Some(batch) = self.attempt(&mut open, batch).await {
                let error = Error::new(
                    ErrorKind::Unavailable,
                    "use a connection to MySQL",
                    "the connection was lost twice in a row",
                );
                refuse_all(batch, &error);
            }
        }
        if let Some(open) = open {
            open.session.close().await;
        }
    }

    async fn attempt(&mut self, open: &mut Option<Open>, batch: Vec<W::Job>) -> Option<Vec<W::Job>> {
        let current = match open {
            Some(current) => current,
            None => match self.server.open(W::ROLE).await {
                Ok(session) => {
                    self.pause_ms = PAUSE_MS_MIN;
                    open.insert(Open::new(session, &self.open_count))
                }
                Err(error) => {
                    if self.open_count.load(Ordering::SeqCst) > 0 {
                        self.queue.give_back(batch);
                    } else {
                        refuse_all(batch, &unavailable(&error));
                    }
                    self.pause(&error).await;
                    return None;
                }
            },
        };
        let rest = self.work.run(&mut current.session, batch).await.err();
        if !current.session.is_open() {
            *open = None;
        }
        rest
    }

    /// Waits before the next attempt to connect. Meanwhile jobs are refused at once, unless another worker
    /// has a connection: then they are left to it.
    async fn pause(&mut self, error: &Error) {
        let until = Instant::now() + Duration::from_millis(self.pause_ms);
        self.pause_ms = (self.pause_ms * 2).min(PAUSE_MS_MAX);
        while self.open_count.load(Ordering::SeqCst) == 0 {
            tokio::select! {
                () = sleep_until(until) => return,
                batch = self.queue.take() => match batch {
                    Some(batch) => refuse_all(batch, &unavailable(error)),
                    None => return,
                },
            }
        }
        sleep_until(until).await;
    }
}

/// A session that is counted while it is there.
struct Open {
    session: Session,
    _counted: Counted,
}

impl Open {
    fn new(session: Session, open_count: &Arc<AtomicUsize>) -> Self {
        open_count.fetch_add(1, Ordering::SeqCst);
        Self { session, _counted: Counted(Arc::clone(open_count)) }
    }
}

struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
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
