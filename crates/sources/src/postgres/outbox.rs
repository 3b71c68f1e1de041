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

use std::sync::Arc;
use std::time::Duration;

use throughline_core::{Error, Result};
use tokio::sync::mpsc;

use self::poll::Poll;
use super::PostgresSource;
use super::client::{Role, Server, Session};
use super::map::{Failure, statement_error};
use super::transaction::settle;
use crate::remote::{FeedOrder, OutboxFeed, TAKE};
use crate::sql::outbox::{KeyMaps, OUTBOX};
use crate::sql::{Consumer, Table};

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
    pub fn feed(&self, tables: &[&Table], consumer: Consumer) -> OutboxFeed {
        let server = Arc::clone(&self.shared.server);
        let (feed, orders) = OutboxFeed::new(server.answer_limit());
        let keys = KeyMaps::new(tables.iter().copied());
        let worker = FeedWorker { server: Arc::clone(&server), poll: Poll::new(keys, consumer) };
        server.tasks().spawn("postgres outbox", Box::pin(worker.serve(orders)));
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
        let mut open: Option<Arc<Session>> = None;
        while let Some(order) = orders.recv().await {
            let session = match open.take().filter(|session| session.is_open()) {
                Some(session) => session,
                None => match self.server.open(Role::Catalogue).await {
                    Ok((session, _)) => session,
                    Err(error) => {
                        order.refuse(error);
                        continue;
                    }
                },
            };
            self.carry_out(&session, order).await;
            open = Some(session);
        }
    }

    async fn carry_out(&mut self, session: &Session, order: FeedOrder) {
        let look = match self.poll.take(session).await {
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
    statement_error(TAKE, OUTBOX, failure, &|_| false)
}
