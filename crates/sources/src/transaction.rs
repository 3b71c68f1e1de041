// SPDX-License-Identifier: MIT OR Apache-2.0
//! The caller's end of an open transaction, whose connection belongs to somebody else: a worker task or a thread.
//!
//! ```text
//! caller                       worker
//! begin ─────────────────────▶ takes a connection, begins
//!       ◀── RemoteTransaction ─
//! read, write, … ── Command ─▶ runs it to its end, whoever waits for it
//!       ◀── answer ──────────
//! prepare ── Command ────────▶
//!       ◀── Prepared ───────── waits for the verdict, as a single write's does
//! ```
//!
//! The worker rolls back when the caller's end is dropped, when a command fails, when nobody waits for a command's
//! answer any more, and when the time is over. Why it ended is kept for the next call.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use throughline_core::{
    BoxFuture, Effect, Error, ErrorKind, Executed, Hold, Key, Member, Parameter, Prepared, Record, Result,
    Retry, Transaction, Write,
};
use tokio::sync::oneshot;

const OPERATION: &str = "go on with a transaction";

/// One call of the caller.
#[derive(Debug)]
pub(crate) enum Command {
    Read { member: Member, key: Key, hold: Hold, reply: oneshot::Sender<Result<Option<Record>>> },
    Write { member: Member, write: Write, reply: oneshot::Sender<Result<Effect>> },
    Execute { sql: String, parameters: Vec<Parameter>, reply: oneshot::Sender<Result<Executed>> },
    Touch { member: Member, key: Key, reply: oneshot::Sender<Result<Key>> },
    Prepare { reply: oneshot::Sender<Result<Box<dyn Prepared>>> },
}

/// Why the worker ended a transaction; the first reason counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ended(Arc<OnceLock<Error>>);

impl Ended {
    /// Ends it because its time is over: nothing was asked for `idle`, or before that `left` was over, which was left
    /// of its life.
    pub(crate) fn set_late(&self, idle: Duration, left: Duration) {
        let what = if left <= idle {
            "the transaction was open for too long"
        } else {
            "nothing was asked of the transaction for too long"
        };
        let detail = format!("{what}, so it was rolled back: begin again");
        let _ = self.0.set(Error::new(ErrorKind::Timeout, OPERATION, detail).with_retry(Retry::Safe));
    }

    fn error(&self) -> Error {
        self.0.get().cloned().unwrap_or_else(|| {
            let detail = "it was rolled back because of an earlier error, or the source was shut down";
            Error::new(ErrorKind::Closed, OPERATION, detail).with_retry(Retry::Safe)
        })
    }
}

/// Hands a reply to whoever waits; whether the transaction may go on.
pub(crate) fn answer<T>(reply: oneshot::Sender<Result<T>>, outcome: Result<T>) -> bool {
    let fine = outcome.is_ok();
    reply.send(outcome).is_ok() && fine
}

/// Sends commands to the worker; `false` when it is gone.
type Send = Box<dyn Fn(Command) -> bool + std::marker::Send + Sync>;

/// An open transaction, as its caller has it.
pub(crate) struct RemoteTransaction {
    send: Send,
    ended: Ended,
}

impl fmt::Debug for RemoteTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteTransaction").finish_non_exhaustive()
    }
}

impl RemoteTransaction {
    /// Commands go through `send`, which must not wait: there is one at a time.
    pub(crate) fn new(
        send: impl Fn(Command) -> bool + std::marker::Send + Sync + 'static,
        ended: Ended,
    ) -> Self {
        Self { send: Box::new(send), ended }
    }

    async fn call<T>(&self, command: impl FnOnce(oneshot::Sender<Result<T>>) -> Command) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        if !(self.send)(command(reply)) {
            return Err(self.ended.error());
        }
        answer.await.unwrap_or_else(|_| Err(self.ended.error()))
    }
}

impl Transaction for RemoteTransaction {
    fn read<'a>(
        &'a mut self,
        member: Member,
        key: &'a Key,
        hold: Hold,
    ) -> BoxFuture<'a, Result<Option<Record>>> {
        let key = key.clone();
        Box::pin(self.call(move |reply| Command::Read { member, key, hold, reply }))
    }

    fn write<'a>(&'a mut self, member: Member, write: &'a Write) -> BoxFuture<'a, Result<Effect>> {
        let write = write.clone();
        Box::pin(self.call(move |reply| Command::Write { member, write, reply }))
    }

    fn execute<'a>(
        &'a mut self,
        sql: &'a str,
        parameters: &'a [Parameter],
    ) -> BoxFuture<'a, Result<Executed>> {
        Box::pin(async move {
            crate::sql::check_statement(OPERATION, sql)?;
            let (sql, parameters) = (sql.to_owned(), parameters.to_vec());
            self.call(move |reply| Command::Execute { sql, parameters, reply }).await
        })
    }

    fn touch<'a>(&'a mut self, member: Member, key: &'a Key) -> BoxFuture<'a, Result<Key>> {
        let key = key.clone();
        Box::pin(self.call(move |reply| Command::Touch { member, key, reply }))
    }

    fn prepare(self: Box<Self>) -> BoxFuture<'static, Result<Box<dyn Prepared>>> {
        Box::pin(async move { self.call(|reply| Command::Prepare { reply }).await })
    }
}

/// The resources' tables, by the numbers that transactions name them by.
#[derive(Debug)]
pub(crate) struct Members<P>(Arc<Mutex<Vec<Arc<P>>>>);

impl<P> Clone for Members<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<P> Default for Members<P> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<P> Members<P> {
    /// Gives a resource its number.
    pub(crate) fn add(&self, plan: Arc<P>) -> Member {
        let mut plans = self.0.lock();
        let member = Member(plans.len() as u32);
        plans.push(plan);
        member
    }

    /// The resource of a number.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] for a number that was never given.
    pub(crate) fn plan(&self, member: Member) -> Result<Arc<P>> {
        let plan = self.0.lock().get(member.0 as usize).cloned();
        plan.ok_or_else(|| {
            let detail = "the source never gave this number to a resource";
            Error::new(ErrorKind::Configuration, "read a row in a transaction", detail)
        })
    }
}

/// The error of a touched key whose row alone could tell how it is spelt, and is not there.
pub(crate) fn no_row_to_touch(table: &str) -> Error {
    let detail = format!(
        "table `{table}`: no row has this key now, and only the row tells how its key is spelt: touch it before the statement \
         that removes the row, and after the one that inserts it"
    );
    Error::new(ErrorKind::InvalidKey, "touch a row", detail)
}

/// What an error names when it is of a statement of which we know no table.
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub(crate) const UNKNOWN_TABLE: &str = "?";

/// The error of a statement of the application, from one that names [`UNKNOWN_TABLE`].
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub(crate) fn not_run(error: &Error) -> Error {
    let detail = error.detail().replace("table `?`", "the application's statement");
    Error::new(error.kind(), error.operation(), detail).with_retry(error.retry())
}

/// The error of a statement that returns too many rows.
pub(crate) fn too_many_rows() -> Error {
    let detail = format!("the statement returns more than {} rows", Executed::ROW_COUNT_MAX);
    Error::new(ErrorKind::TooLarge, "run a statement of the application", detail)
}
