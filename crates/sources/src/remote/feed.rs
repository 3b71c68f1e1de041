// SPDX-License-Identifier: MIT OR Apache-2.0
//! The caller's end of an outbox, which a task reads over a connection of its own.

use std::fmt;
use std::time::Duration;

use throughline_core::{Batch, BoxFuture, Error, ErrorKind, Feed, Prepared, Receipt, Result};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::{Decision, RemotePrepared, closed};
use crate::sql::outbox::{Look, OUTBOX};

/// How often an outbox is looked at.
const POLL_EVERY: Duration = Duration::from_millis(100);

/// What a look for news is called in errors.
pub(crate) const TAKE: &str = "take news from the outbox";

/// The news of a database with an outbox.
pub struct OutboxFeed {
    orders: mpsc::Sender<FeedOrder>,
    limit: Duration,
}

impl fmt::Debug for OutboxFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboxFeed").finish_non_exhaustive()
    }
}

impl OutboxFeed {
    /// A feed that waits for an answer for `limit`, and where its orders arrive.
    pub(crate) fn new(limit: Duration) -> (Self, mpsc::Receiver<FeedOrder>) {
        let (orders, next) = mpsc::channel(1);
        (Self { orders, limit }, next)
    }
}

impl Feed for OutboxFeed {
    fn wait(&self) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(POLL_EVERY))
    }

    fn take(&self) -> BoxFuture<'_, Result<Batch>> {
        Box::pin(async {
            let (reply, answer) = oneshot::channel();
            self.orders.send(FeedOrder(reply)).await.map_err(|_| closed(TAKE))?;
            match timeout(self.limit, answer).await {
                Ok(answer) => answer.unwrap_or_else(|_| Err(closed(TAKE))),
                Err(_) => Err(Error::new(ErrorKind::Timeout, TAKE, "no answer in time")),
            }
        })
    }
}

/// The error of a table that lost triggers of ours: its news are missed.
pub(crate) fn triggers_gone(table: &str) -> Error {
    let detail = format!(
        "triggers of the outbox on `{table}` are gone: `throughline init URL --outbox {table}` makes them anew"
    );
    Error::new(ErrorKind::Configuration, TAKE, detail)
}

/// A caller that wants news.
pub(crate) struct FeedOrder(oneshot::Sender<Result<Batch>>);

impl FeedOrder {
    /// Answers with an error.
    pub(crate) fn refuse(self, error: Error) {
        // A caller that left needs no answer.
        let _ = self.0.send(Err(error));
    }

    /// Hands over what a look brought. If it holds a transaction open, the decision on that arrives where a
    /// write's does: a caller that left, or drops the receipt, lets it be rolled back.
    pub(crate) fn answer(self, look: Look) -> Option<oneshot::Receiver<Decision>> {
        let Look { news, is_all, lag_ms, is_held } = look;
        let (receipt, decision): (Box<dyn Receipt>, _) = if is_held {
            let (prepared, decision) = RemotePrepared::new(OUTBOX, Vec::new());
            (Box::new(Held(prepared)), Some(decision))
        } else {
            (Box::new(NothingTaken), None)
        };
        let _ = self.0.send(Ok(Batch { news, is_all, lag_ms, receipt }));
        decision
    }
}

/// The receipt of news whose transaction waits to be committed.
#[derive(Debug)]
struct Held(RemotePrepared);

impl Receipt for Held {
    fn confirm(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        Box::new(self.0).commit()
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
