// SPDX-License-Identifier: MIT OR Apache-2.0
//! Workers: tasks that each own one connection and take their work from one queue.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use throughline_core::{Error, ErrorKind, Result};
use tokio::time::{Instant, sleep_until};

use super::client::{Role, Server, Session};
use crate::queue::{Declined, Job, Queue};
use crate::remote::closed;

/// The first and the longest pause between two attempts to connect.
const PAUSE_MS_MIN: u64 = 25;
const PAUSE_MS_MAX: u64 = 1_000;

/// A batch that is under way, and what becomes of it: nothing, or it comes back because its connection was lost
/// before anything was done.
type UnderWay<J> = Pin<Box<dyn Future<Output = Option<Batch<J>>> + Send>>;

/// Jobs that one worker does together.
struct Batch<J> {
    jobs: Vec<J>,
    /// Whether it was tried on a connection that was lost.
    retried: bool,
}

/// Does the work of a batch over one connection.
pub(super) trait Work: Send + Sync + 'static {
    /// What it works on.
    type Job: Job;

    /// What its connections are for.
    const ROLE: Role;

    /// How many batches may be under way on one connection.
    const DEPTH: usize;

    /// Answers every job of the batch, or hands the batch back when the connection was lost before anything
    /// was done, so that it may be tried once more on another.
    fn run(
        &self,
        session: &Session,
        jobs: Vec<Self::Job>,
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
    /// Starts `count` workers; `first` are connections that are already open.
    pub(super) fn start<W: Work<Job = J>>(
        name: &'static str,
        count: usize,
        weight_max: usize,
        server: &Arc<Server>,
        work: W,
        first: Vec<Arc<Session>>,
    ) -> Self {
        let queue = Arc::new(Queue::new(server.config().queue_len_max, weight_max));
        let work = Arc::new(work);
        let open_count = Arc::new(AtomicUsize::new(0));
        let mut first = first.into_iter();
        for _ in 0..count.max(1) {
            let worker = Worker {
                queue: Arc::clone(&queue),
                server: Arc::clone(server),
                work: Arc::clone(&work),
                open: first.next().map(|session| Open::new(session, &open_count)),
                open_count: Arc::clone(&open_count),
                pause_ms: PAUSE_MS_MIN,
            };
            server.tasks().spawn(name, Box::pin(worker.serve()));
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
    open: Option<Open>,
    /// How many workers of this sort have a connection.
    open_count: Arc<AtomicUsize>,
    pause_ms: u64,
}

impl<W: Work> Worker<W> {
    async fn serve(mut self) {
        let mut under_way: FuturesUnordered<UnderWay<W::Job>> = FuturesUnordered::new();
        let mut ended = false;
        while !(ended && under_way.is_empty()) {
            tokio::select! {
                Some(done) = under_way.next(), if !under_way.is_empty() => {
                    // A connection may have died while it was idle, which only its next use tells: then the
                    // batch comes back and is tried once on a new one.
                    if let Some(batch) = done {
                        under_way.extend(self.begin(batch).await);
                    }
                }
                jobs = self.queue.take(), if !ended && under_way.len() < W::DEPTH => match jobs {
                    Some(jobs) => under_way.extend(self.begin(Batch { jobs, retried: false }).await),
                    None => ended = true,
                },
            }
        }
    }

    /// Puts a batch under way, on a new connection if there is none.
    async fn begin(&mut self, batch: Batch<W::Job>) -> Option<UnderWay<W::Job>> {
        let (session, batch) = self.connected(batch).await?;
        let work = Arc::clone(&self.work);
        Some(Box::pin(async move {
            let jobs = work.run(&session, batch.jobs).await.err()?;
            if !batch.retried {
                return Some(Batch { jobs, retried: true });
            }
            let error = Error::new(
                ErrorKind::Unavailable,
                "use a connection to PostgreSQL",
                "the connection was lost twice in a row",
            );
            refuse_all(jobs, &error);
            None
        }))
    }

    /// The connection for a batch; without one the batch is refused or left to another worker.
    async fn connected(&mut self, batch: Batch<W::Job>) -> Option<(Arc<Session>, Batch<W::Job>)> {
        if let Some(open) = self.open.as_ref().filter(|open| open.session.is_open()) {
            return Some((Arc::clone(&open.session), batch));
        }
        self.open = None;
        match self.server.open(W::ROLE).await {
            Ok((session, _)) => {
                self.pause_ms = PAUSE_MS_MIN;
                self.open = Some(Open::new(Arc::clone(&session), &self.open_count));
                Some((session, batch))
            }
            Err(error) => {
                if self.open_count.load(Ordering::SeqCst) > 0 {
                    self.queue.give_back(batch.jobs);
                } else {
                    refuse_all(batch.jobs, &unavailable(&error));
                }
                self.pause(&error).await;
                None
            }
        }
    }

    /// Waits before the next attempt to connect. Meanwhile jobs are refused at once, unless another worker
    /// has a connection: then they are left to it.
    async fn pause(&mut self, error: &Error) {
        let until = Instant::now() + Duration::from_millis(self.pause_ms);
        self.pause_ms = (self.pause_ms * 2).min(PAUSE_MS_MAX);
        while self.open_count.load(Ordering::SeqCst) == 0 {
            tokio::select! {
                () = sleep_until(until) => return,
                jobs = self.queue.take() => match jobs {
                    Some(jobs) => refuse_all(jobs, &unavailable(error)),
                    None => return,
                },
            }
        }
        sleep_until(until).await;
    }
}

/// A session that is counted while it is there.
struct Open {
    session: Arc<Session>,
    _counted: Counted,
}

impl Open {
    fn new(session: Arc<Session>, open_count: &Arc<AtomicUsize>) -> Self {
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

fn refuse_all(jobs: Vec<impl Job>, error: &Error) {
    for job in jobs {
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
