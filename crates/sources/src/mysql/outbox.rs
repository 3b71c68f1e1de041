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

use std::sync::Arc;
use std::time::Duration;

use throughline_core::{Error, ErrorKind, Result, Tasks};
use tokio::sync::mpsc;

use self::poll::Poll;
use super::MysqlSource;
use super::client::{Role, Server, Session};
use super::map::{Failure, statement_error};
use super::transaction::settle;
use crate::remote::{FeedOrder, OutboxFeed, TAKE};
use crate::sql::outbox::{KeyMaps, OUTBOX};
use crate::sql::{Consumer, Table};

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
    pub fn feed(&self, tables: &[&Table], consumer: Consumer, tasks: &dyn Tasks) -> OutboxFeed {
        let server = Arc::clone(&self.shared.server);
        let (feed, orders) = OutboxFeed::new(server.answer_limit());
        let keys = KeyMaps::new(tables.iter().copied());
        let worker = FeedWorker { server: Arc::clone(&server), poll: Poll::new(keys, consumer) };
        tasks.spawn("mysql outbox", Box::pin(worker.serve(orders)));
        feed
    }
}

/// The task that owns the feed's connection.
struct FeedWorker {
    server: Arc<Server>,
    poll: Poll,
}

impl FeedWorker {
    async fn serve(mut self, mut orders: mpsc::Receiver<FeedOrder>) {
        let mut open: Option<Session> = None;
        while let Some(order) = orders.recv().await {
            let session = match open.take().filter(Session::is_open) {
                Some(session) => open.insert(session),
                None => match self.server.open(Role::Feed).await {
                    Ok(session) => open.insert(session),
                    Err(error) => {
                        order.refuse(error);
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

    async fn carry_out(&mut self, session: &mut Session, order: FeedOrder) {
        let look = match self.poll.take(session, &self.server.config().database).await {
            Ok(look) => look,
            Err(error) => {
                // What it holds is given back by the server.
                session.abandon();
                order.refuse(error);
                return;
            }
        };
        let Some(decision) = order.answer(look) else { return };
        let life = Duration::from_millis(self.server.config().prepared_life_ms);
        if settle(session, OUTBOX, decision, life).await {
            self.poll.memory.confirm();
        }
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
