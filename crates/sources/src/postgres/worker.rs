// SPDX-License-Identifier: MIT OR Apache-2.0
//! Workers: tasks that each own one connection and take their work from one queue.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::client::{Role, Server, Session};
use crate::queue::{Job, Queue};
use crate::remote::{Attempts, Counted, Workers, refuse_lost};

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

/// Starts `count` workers; `first` are connections that are already open.
pub(super) fn start<W: Work>(
    name: &'static str,
    count: usize,
    weight_max: usize,
    server: &Arc<Server>,
    work: W,
    first: Vec<Arc<Session>>,
) -> Workers<W::Job> {
    let queue = Arc::new(Queue::new(server.config().queue_len_max, weight_max));
    let work = Arc::new(work);
    let mut first = first.into_iter();
    for mut attempts in Attempts::of_each(count.max(1), &queue) {
        let worker = Worker {
            queue: Arc::clone(&queue),
            server: Arc::clone(server),
            work: Arc::clone(&work),
            open: first.next().map(|session| Open { session, _counted: attempts.succeeded() }),
            attempts,
        };
        server.tasks().spawn(name, Box::pin(worker.serve()));
    }
    Workers::of(queue)
}

/// One task with at most one connection.
struct Worker<W: Work> {
    queue: Arc<Queue<W::Job>>,
    server: Arc<Server>,
    work: Arc<W>,
    open: Option<Open>,
    attempts: Attempts<W::Job>,
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
            refuse_lost(jobs, "use a connection to PostgreSQL");
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
                let counted = self.attempts.succeeded();
                self.open = Some(Open { session: Arc::clone(&session), _counted: counted });
                Some((session, batch))
            }
            Err(error) => {
                self.attempts.failed(batch.jobs, &error).await;
                None
            }
        }
    }
}

/// A session that is counted while it is there.
struct Open {
    session: Arc<Session>,
    _counted: Counted,
}
