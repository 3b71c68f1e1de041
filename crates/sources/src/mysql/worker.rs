// SPDX-License-Identifier: MIT OR Apache-2.0
//! Workers: tasks that each own one connection and take their work from one queue.

use std::future::Future;
use std::sync::Arc;

use throughline_core::Tasks;

use super::client::{Role, Server, Session};
use crate::queue::{Job, Queue};
use crate::remote::{Attempts, Counted, Workers, refuse_lost};

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

/// Starts `count` workers; `first` is a connection that is already open.
pub(super) fn start<W: Work>(
    name: &'static str,
    count: usize,
    weight_max: usize,
    server: &Arc<Server>,
    work: W,
    first: Option<Session>,
    tasks: &dyn Tasks,
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
        tasks.spawn(name, Box::pin(worker.serve()));
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
        while let Some(batch) = self.queue.take().await {
            // A connection may have died while it was idle, which only its next use tells: then the batch
            // comes back and is tried once on a new one.
            let Some(batch) = self.attempt(batch).await else {
                continue;
            };
            if let Some(batch) = self.attempt(batch).await {
                refuse_lost(batch, "use a connection to MySQL");
            }
        }
        if let Some(open) = self.open {
            open.session.close().await;
        }
    }

    async fn attempt(&mut self, batch: Vec<W::Job>) -> Option<Vec<W::Job>> {
        let current = match &mut self.open {
            Some(current) => current,
            None => match self.server.open(W::ROLE).await {
                Ok(session) => self.open.insert(Open { session, _counted: self.attempts.succeeded() }),
                Err(error) => {
                    self.attempts.failed(batch, &error).await;
                    return None;
                }
            },
        };
        let rest = self.work.run(&mut current.session, batch).await.err();
        if !current.session.is_open() {
            self.open = None;
        }
        rest
    }
}

/// A session that is counted while it is there.
struct Open {
    session: Session,
    _counted: Counted,
}
