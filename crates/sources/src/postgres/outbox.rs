// SPDX-License-Identifier: MIT OR Apache-2.0
//! The news of a PostgreSQL database: an outbox that triggers fill.
//!
//! As on MySQL, rows are taken with `FOR UPDATE SKIP LOCKED` and removed in one transaction, which commits when
//! every cache has confirmed, and whoever takes a new row copies it for the other consumers (see
//! `mysql/outbox.rs`). What differs:
//!
//! - A trigger fires once per statement, and writes one row for a table of which more than a thousand rows changed.
//! - TRUNCATE fires one, too, and so does what a foreign key cascades.
//! - What our own connections write is told apart by the depth at which the trigger fires: behind another
//!   trigger it is news, whoever began. What a foreign key cascades cannot be told apart, so that in a table into
//!   which one does, everything is news.
//!
//! It is polled, not woken by NOTIFY: that takes one lock for the whole server at each commit, which would put the
//! application's own commits in a line.

mod install;
mod poll;
mod take;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use throughline_core::{Batch, BoxFuture, Effect, Error, ErrorKind, Feed, Prepared, Receipt, Result};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use self::poll::Poll;
use super::PostgresSource;
use super::client::{Role, Server, Session};
use super::map::{Failure, statement_error};
use super::transaction::settle;
use crate::remote::{RemotePrepared, closed};
use crate::sql::outbox::{KeyMaps, OUTBOX};
use crate::sql::{Consumer, Table};

/// How often the outbox is looked at.
const POLL_EVERY: Duration = Duration::from_millis(100);

const TAKE: &str = "take news from the outbox";

/// The feed of a database with an outbox; see [`PostgresSource::feed`].
pub struct PostgresFeed {
    server: Arc<Server>,
    orders: mpsc::Sender<Order>,
}

impl fmt::Debug for PostgresFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresFeed").finish_non_exhaustive()
    }
}

type Order = oneshot::Sender<Result<Batch>>;

impl PostgresSource {
    /// The tables with triggers of ours, none without an outbox.
    ///
    /// # Errors
    /// As [`PostgresSource::tables`].
    pub async fn fed_tables(&self) -> Result<Vec<String>> {
        let (session, _) = self.shared.server.open(Role::Catalogue).await?;
        poll::fed(&session).await.map_err(|failure| error(&failure))
    }

    /// What other programs change in `tables`, for `consumer`; its connection is opened when it is first asked.
    pub fn feed(&self, tables: &[&Table], consumer: Consumer) -> PostgresFeed {
        let (orders, next) = mpsc::channel(1);
        let server = self.shared.server.clone();
        let keys = KeyMaps::new(tables.iter().copied());
        let worker = FeedWorker { server: server.clone(), poll: Poll::new(keys, consumer) };
        server.tasks().spawn("postgres outbox", Box::pin(worker.serve(next)));
        PostgresFeed { server, orders }
    }
}

impl Feed for PostgresFeed {
    fn wait(&self) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(POLL_EVERY))
    }

    fn take(&self) -> BoxFuture<'_, Result<Batch>> {
        Box::pin(async {
            let (reply, answer) = oneshot::channel();
            self.orders.send(reply).await.map_err(|_| closed(TAKE))?;
            match timeout(self.server.answer_limit(), answer).await {
                Ok(answer) => answer.unwrap_or_else(|_| Err(closed(TAKE))),
                Err(_) => Err(Error::new(ErrorKind::Timeout, TAKE, "no answer in time")),
            }
        })
    }
}

/// The task that owns the feed's connection.
struct FeedWorker {
    server: Arc<Server>,
    poll: Poll,
}

impl FeedWorker {
    async fn serve(mut self, mut orders: mpsc::Receiver<Order>) {
        let mut open: Option<Arc<Session>> = None;
        while let Some(order) = orders.recv().await {
            let session = match open.take().filter(|session| session.is_open()) {
                Some(session) => session,
                None => match self.server.open(Role::Catalogue).await {
                    Ok((session, _)) => session,
                    Err(error) => {
                        let _ = order.send(Err(error));
                        continue;
                    }
                },
            };
            self.carry_out(&session, order).await;
            open = Some(session);
        }
    }

    async fn carry_out(&mut self, session: &Session, order: Order) {
        let taken = match self.poll.take(session).await {
            Ok(taken) => taken,
            Err(error) => {
                // What it holds is given back by the server.
                session.abandon();
                let _ = order.send(Err(error));
                return;
            }
        };
        let (is_all, lag_ms) = (taken.is_all, taken.lag_ms);
        if !taken.has_begun {
            let _ =
                order.send(Ok(Batch { news: Vec::new(), is_all, lag_ms, receipt: Box::new(NothingTaken) }));
            return;
        }
        // The same transaction and decision as a write's: dropped without one, it is rolled back.
        let (prepared, decision) = RemotePrepared::new(OUTBOX, Vec::<Effect>::new());
        let receipt = Box::new(PostgresReceipt { prepared });
        let _ = order.send(Ok(Batch { news: taken.news, is_all, lag_ms, receipt }));
        let life = Duration::from_millis(self.server.config().prepared_life_ms);
        if settle(session, OUTBOX, decision, life).await {
            self.poll.confirm();
        }
    }
}

#[derive(Debug)]
struct PostgresReceipt {
    prepared: RemotePrepared,
}

impl Receipt for PostgresReceipt {
    fn confirm(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        Box::new(self.prepared).commit()
    }
}

/// The receipt of a look that found nothing.
#[derive(Debug)]
struct NothingTaken;

impl Receipt for NothingTaken {
    fn confirm(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

fn error(failure: &Failure) -> Error {
    statement_error(TAKE, OUTBOX, failure, &|_| false)
}
