// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests to the control tables, which wait for a connection, and how they are answered.

use std::fmt;
use std::time::Duration;

use throughline_core::{BoxFuture, ControlStore, ControlView, Error, Result, Transition};
use tokio::sync::oneshot;

use super::{APPLY, ControlFailure, ControlSession, VIEW, no_view};
use crate::queue::Job;
use crate::remote::Workers;
use crate::sql::{NoView, read_view};

/// What a caller wants.
pub(crate) enum Request {
    View(oneshot::Sender<Result<ControlView>>),
    Apply(Transition, oneshot::Sender<Result<bool>>),
}

impl Request {
    fn operation(&self) -> &'static str {
        match self {
            Self::View(_) => VIEW,
            Self::Apply(..) => APPLY,
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::View(_) => f.write_str("View"),
            Self::Apply(transition, _) => f.debug_tuple("Apply").field(transition).finish(),
        }
    }
}

impl Job for Request {
    fn is_abandoned(&self) -> bool {
        match self {
            Self::View(reply) => reply.is_closed(),
            Self::Apply(_, reply) => reply.is_closed(),
        }
    }

    fn weight(&self) -> usize {
        1
    }

    fn joins(&self, other: &Self) -> bool {
        matches!((self, other), (Self::View(_), Self::View(_)))
    }

    fn refuse(self, error: Error) {
        // A caller that left needs no answer, here and below.
        match self {
            Self::View(reply) => drop(reply.send(Err(error))),
            Self::Apply(_, reply) => drop(reply.send(Err(error))),
        }
    }
}

/// The control tables of a database.
#[derive(Debug)]
pub struct DatabaseControl {
    workers: Workers<Request>,
    limit: Duration,
}

impl DatabaseControl {
    /// Those that `workers` read and change; a caller waits for an answer for `limit`.
    pub(crate) fn new(workers: Workers<Request>, limit: Duration) -> Self {
        Self { workers, limit }
    }

    async fn ask<T>(
        &self,
        operation: &'static str,
        request: impl FnOnce(oneshot::Sender<Result<T>>) -> Request,
    ) -> Result<T> {
        let late = || "no connection became free in time".to_owned();
        self.workers.ask(operation, self.limit, late, request).await
    }
}

impl ControlStore for DatabaseControl {
    fn view(&self) -> BoxFuture<'_, Result<ControlView>> {
        Box::pin(self.ask(VIEW, Request::View))
    }

    fn apply<'a>(&'a self, transition: &'a Transition) -> BoxFuture<'a, Result<bool>> {
        Box::pin(self.ask(APPLY, |reply| Request::Apply(transition.clone(), reply)))
    }
}

/// Answers every request of the batch, or hands it back when the connection was lost. Either all of the batch are
/// views, or it is one transition.
pub(crate) async fn serve<S: ControlSession>(
    session: &mut S,
    batch: Vec<Request>,
) -> std::result::Result<(), Vec<Request>> {
    let failure = match batch.first() {
        None => return Ok(()),
        Some(Request::View(_)) => match session.rows().await {
            Ok(rows) => {
                let view = rows.ok_or(NoView::Damaged).and_then(read_view).map_err(no_view);
                answer_views(batch, &view);
                return Ok(());
            }
            Err(failure) => failure,
        },
        Some(Request::Apply(transition, _)) => match session.change(transition).await {
            Ok(applied) => {
                answer_apply(batch, applied);
                return Ok(());
            }
            Err(failure) => failure,
        },
    };
    if failure.is_lost() {
        // A transition that took place all the same finds nothing to change the second time.
        return Err(batch);
    }
    for request in batch {
        let error = failure.error(request.operation());
        request.refuse(error);
    }
    Ok(())
}

fn answer_views(batch: Vec<Request>, view: &Result<ControlView>) {
    for request in batch {
        if let Request::View(reply) = request {
            let _ = reply.send(view.clone());
        }
    }
}

fn answer_apply(batch: Vec<Request>, applied: bool) {
    for request in batch {
        if let Request::Apply(_, reply) = request {
            let _ = reply.send(Ok(applied));
        }
    }
}
