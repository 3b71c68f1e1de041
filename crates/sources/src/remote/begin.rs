// SPDX-License-Identifier: MIT OR Apache-2.0
//! Open transactions, as a worker gets to know of them: the caller that wants one, then its commands.

use std::time::Duration;

use throughline_core::{Error, Result, Transaction};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use super::Workers;
use crate::queue::Job;
use crate::transaction::{Command, Ended, RemoteTransaction};

const BEGIN: &str = "begin a transaction";

/// A caller that wants a transaction.
#[derive(Debug)]
pub(crate) struct Begin {
    reply: oneshot::Sender<Result<RemoteTransaction>>,
}

impl Job for Begin {
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn weight(&self) -> usize {
        1
    }

    fn joins(&self, _other: &Self) -> bool {
        false
    }

    fn refuse(self, error: Error) {
        // A caller that left needs no answer.
        let _ = self.reply.send(Err(error));
    }
}

/// Asks `workers` for a transaction.
pub(crate) async fn begin(workers: &Workers<Begin>, limit: Duration) -> Result<Box<dyn Transaction>> {
    let late = || "all connections for transactions are in use: end some, or end them sooner".to_owned();
    let transaction = workers.ask(BEGIN, limit, late, |reply| Begin { reply }).await?;
    Ok(Box::new(transaction))
}

/// Where the commands of an open transaction arrive.
pub(crate) struct Inbox {
    commands: mpsc::Receiver<Command>,
    ended: Ended,
    idle: Duration,
    until: Instant,
}

impl Begin {
    /// Tells the caller that its transaction has begun. It ends when nothing is asked of it for `idle`, and after
    /// `life` in any case.
    pub(crate) fn accept(self, idle: Duration, life: Duration) -> Inbox {
        let ended = Ended::default();
        let (commands, inbox) = mpsc::channel(1);
        let remote = RemoteTransaction::new(move |command| commands.try_send(command).is_ok(), ended.clone());
        // A caller that left drops its end, and that ends the transaction.
        let _ = self.reply.send(Ok(remote));
        Inbox { commands: inbox, ended, idle, until: Instant::now() + life }
    }
}

impl Inbox {
    /// The next command; `None` when the transaction is to be rolled back.
    pub(crate) async fn next(&mut self) -> Option<Command> {
        let left = self.until.saturating_duration_since(Instant::now());
        match timeout(self.idle.min(left), self.commands.recv()).await {
            Ok(command) => command,
            Err(_) => {
                self.ended.set_late(self.idle, left);
                None
            }
        }
    }
}
