// SPDX-License-Identifier: MIT OR Apache-2.0
//! The news of a MySQL or MariaDB database: an outbox that triggers fill.
//!
//! `tl_outbox` holds a row per changed row. Rows are taken with `FOR UPDATE SKIP LOCKED` and removed in the
//! same transaction, which commits when every cache has confirmed: a daemon that dies in between loses nothing, and two
//! daemons share the work. A number's order is not the order of the commits, so nothing is ever asked for "behind
//! number n".
//!
//! Daemons over one shared cache are one consumer, `shared`: whoever takes a row invalidates for all. A daemon
//! whose cache is its own memory is a consumer of its own. Whoever takes a new row copies it for every other
//! consumer, in the same transaction; consumers are read after the row was locked, so one that registered before the
//! row was committed is among them, and one that registered later has nothing older in its cache. A consumer that has
//! not been heard of for a minute is forgotten with its rows; when it comes back it is new.
//!
//! `tl_table` says which tables are fed, and when one changed as a whole (TRUNCATE, ALTER, too many rows):
//! every daemon reads it with each poll.

mod install;
mod poll;
mod take;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use throughline_core::{Batch, BoxFuture, Effect, Error, ErrorKind, Feed, Prepared, Receipt, Result, Tasks};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use self::poll::Poll;
use super::MysqlSource;
use super::client::{Role, Server, Session};
use super::map::{Failure, statement_error};
use super::transaction::settle;
use crate::remote::{RemotePrepared, closed};
use crate::sql::Consumer;
use crate::sql::Table;
use crate::sql::outbox::{KeyMaps, OUTBOX};

/// How often the outbox is looked at.
const POLL_EVERY: Duration = Duration::from_millis(100);

const TAKE: &str = "take news from the outbox";

/// The feed of a database with an outbox; see [`MysqlSource::feed`].
pub struct MysqlFeed {
    server: Arc<Server>,
    orders: mpsc::Sender<Order>,
}

impl fmt::Debug for MysqlFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MysqlFeed").finish_non_exhaustive()
    }
}

type Order = oneshot::Sender<Result<Batch>>;

impl MysqlSource {
    /// The tables with triggers of ours, none without an outbox.
    ///
    /// # Errors
    /// As [`MysqlSource::tables`].
    pub async fn fed_tables(&self) -> Result<Vec<String>> {
        let mut session = self.shared.server.open(Role::Catalogue).await?;
        let fed = poll::fed(&mut session, &self.shared.server.config().database).await;
        session.close().await;
        fed.map_err(|failure| error(&failure))
    }

    /// What other programs change in `tables`, for `consumer`; its connection is opened when it is first asked.
    pub fn feed(&self, tables: &[&Table], consumer: Consumer, tasks: &dyn Tasks) -> MysqlFeed {
        let (orders, next) = mpsc::channel(1);
        let server = self.shared.server.clone();
        let keys = KeyMaps::new(tables.iter().copied());
        let worker = FeedWorker { server: server.clone(), poll: Poll::new(keys, consumer) };
        tasks.spawn("mysql outbox", Box::pin(worker.serve(next)));
        MysqlFeed { server, orders }
    }
}

impl Feed for MysqlFeed {
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
        let mut open: Option<Session> = None;
        while let Some(order) = orders.recv().await {
            let session = match open.take().filter(Session::is_open) {
                Some(session) => open.insert(session),
                None => match self.server.open(Role::Feed).await {
                    Ok(session) => open.insert(session),
                    Err(error) => {
                        let _ = order.send(Err(error));
                        continue;
                    }
                },
            };
            self.carry_out(session, order).await;
        }
        if let Some(session) = open {
            session.close().await;
        }
    }

    async fn carry_out(&mut self, session: &mut Session, order: Order) {
        let taken = match self.poll.take(session, &self.server.config().database).await {
            Ok(taken) => taken,
            Err(error) => {
                // What it holds is given back by the server.
                session.abandon();
                let _ = order.send(Err(error));
                return;
            }
        };
        if !taken.has_begun {
            let receipt = Box::new(NothingTaken);
            let _ = order.send(Ok(Batch {
                news: Vec::new(),
                is_all: taken.is_all,
                lag_ms: taken.lag_ms,
                receipt,
            }));
            return;
        }
        // The same transaction and decision as a write's: dropped without one, it is rolled back.
        let (prepared, decision) = RemotePrepared::new(OUTBOX, Vec::<Effect>::new());
        let receipt = MysqlReceipt { prepared };
        let batch = Batch {
            news: taken.news,
            is_all: taken.is_all,
            lag_ms: taken.lag_ms,
            receipt: Box::new(receipt),
        };
        let _ = order.send(Ok(batch));
        let life = Duration::from_millis(self.server.config().prepared_life_ms);
        if settle(session, OUTBOX, decision, life).await {
            self.poll.confirm();
        }
    }
}

#[derive(Debug)]
struct MysqlReceipt {
    prepared: RemotePrepared,
}

impl Receipt for MysqlReceipt {
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
    match failure {
        // The first is MySQL's number for a table that is not there, the others for a missing right.
        Failure::Server { code: 1146, .. } => Error::new(
            ErrorKind::Configuration,
            TAKE,
            "the outbox is not there any more: `throughline init URL --outbox TABLE` makes it",
        ),
        _ if failure.is_denied() => Error::new(
            ErrorKind::Denied,
            TAKE,
            "the account needs SELECT, INSERT, UPDATE and DELETE on tl_outbox, tl_consumer and tl_table",
        ),
        _ => statement_error(TAKE, OUTBOX, failure, &|_| false),
    }
}
