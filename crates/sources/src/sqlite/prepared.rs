// SPDX-License-Identifier: MIT OR Apache-2.0
//! A prepared write: the transaction itself waits on the writer's thread, and this end decides on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use throughline_core::{BoxFuture, Effect, Error, ErrorKind, Prepared, Result, Retry};
use tokio::sync::oneshot;

const COMMIT: &str = "commit a write";
const ROLL_BACK: &str = "roll a write back";

/// Nobody has decided yet.
const WAITING: u8 = 0;
/// The caller's verdict is on its way.
const DECIDED: u8 = 1;
/// The caller took too long.
const EXPIRED: u8 = 2;

/// What becomes of the transaction; the answer says when it has ended.
#[derive(Debug)]
pub(super) enum Verdict {
    Commit(oneshot::Sender<Result<()>>),
    RollBack(oneshot::Sender<Result<()>>),
}

/// The caller's end.
#[derive(Debug)]
pub(super) struct SqlitePrepared {
    effects: Vec<Effect>,
    phase: Arc<AtomicU8>,
    verdicts: SyncSender<Verdict>,
}

/// The writer's end.
#[derive(Debug)]
pub(super) struct Awaited {
    phase: Arc<AtomicU8>,
    verdicts: Receiver<Verdict>,
}

/// Both ends of a transaction that had these effects.
pub(super) fn prepared(effects: Vec<Effect>) -> (SqlitePrepared, Awaited) {
    let phase = Arc::new(AtomicU8::new(WAITING));
    let (sender, verdicts) = sync_channel(1);
    let ours = SqlitePrepared { effects, phase: Arc::clone(&phase), verdicts: sender };
    (ours, Awaited { phase, verdicts })
}

impl Awaited {
    /// The caller's verdict; `None` when it dropped its end or took longer than `wait`: roll back.
    pub(super) fn verdict(&self, wait: Duration) -> Option<Verdict> {
        match self.verdicts.recv_timeout(wait) {
            Ok(verdict) => Some(verdict),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                let expired =
                    self.phase.compare_exchange(WAITING, EXPIRED, Ordering::SeqCst, Ordering::SeqCst);
                // The caller decided in the same moment, so its verdict comes at once.
                expired.err().and_then(|_| self.verdicts.recv().ok())
            }
        }
    }
}

impl SqlitePrepared {
    /// Sends the verdict, unless the transaction was rolled back already.
    fn decide(&self, verdict: Verdict) -> bool {
        let decided = self.phase.compare_exchange(WAITING, DECIDED, Ordering::SeqCst, Ordering::SeqCst);
        // The channel holds one verdict and this is the only one, so sending neither waits nor fails
        // while the writer lives.
        decided.is_ok() && self.verdicts.try_send(verdict).is_ok()
    }
}

impl Prepared for SqlitePrepared {
    fn effects(&self) -> &[Effect] {
        &self.effects
    }

    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move {
            let (reply, ended) = oneshot::channel();
            if !self.decide(Verdict::Commit(reply)) {
                let detail = "the commit came too late: the write was rolled back";
                return Err(Error::new(ErrorKind::Timeout, COMMIT, detail).with_retry(Retry::Safe));
            }
            let gone = |_| Error::new(ErrorKind::OutcomeUnknown, COMMIT, "the SQLite writer ended");
            ended.await.map_err(gone)?
        })
    }

    fn roll_back(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move {
            let (reply, ended) = oneshot::channel();
            if !self.decide(Verdict::RollBack(reply)) {
                return Ok(());
            }
            let gone = |_| Error::new(ErrorKind::Closed, ROLL_BACK, "the SQLite writer ended");
            ended.await.map_err(gone)?
        })
    }
}
