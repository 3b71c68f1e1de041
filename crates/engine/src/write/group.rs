// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes of one key that wait for each other are committed together.
//!
//! Writers of one row hold its lock one after the other, each for a whole transaction: statements, mark, COMMIT. Those of
//! one process need not:
//!
//! 1. The first writes as if it were alone. Who comes meanwhile waits.
//! 2. When it is over, those who wait form a group: one transaction, in the order of their arrival, each with its own condition, which
//!    sees what those before it wrote, and its own effect; one mark, one COMMIT.
//! 3. Who comes meanwhile is the next group.
//!
//! All writes of a group overlap in time, from before its first statement until after its COMMIT, so the order of their arrival
//! is a right one, and a reader sees nothing of them before the COMMIT. A group is a task: it belongs to none of its writers, and none that
//! leaves can stop it.

mod queue;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use throughline_core::{Effect, Error, ErrorKind, Result, Retry, Write};
use tokio::sync::oneshot;

pub(crate) use queue::Queues;
use queue::Turns;
pub(super) use queue::{Entered, enter};

use super::run;
use crate::space::Space;

const OPERATION: &str = "write a record";

/// Writes of one group. The row is locked for the time of all their statements, and other processes wait for it; beyond some
/// dozens the COMMIT and the mark, which they share, are no longer what costs.
const GROUP_LEN_MAX: usize = 64;

type Reply = oneshot::Sender<Result<Effect>>;

/// Writes the groups of one key until nobody waits.
async fn serve(mut turns: Turns) {
    let mut len_max = GROUP_LEN_MAX;
    loop {
        // Who was just answered may write again at once: it is let in first, or groups would be large and small in turn.
        tokio::task::yield_now().await;
        let Some(group) = turns.next(len_max) else { return };
        let len = group.writes.len();
        // A time-out that is the source's own meets any group, but one may be due to the length: from far away, many statements
        // take long.
        len_max = match group.write().await {
            Pace::InTime => (len_max * 2).min(GROUP_LEN_MAX),
            Pace::TimedOut => (len / 4).max(1),
        };
    }
}

/// Whether a group's writes came to an end in the source's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    InTime,
    TimedOut,
}

/// Some writes of one key, and who waits for each. Dropped, it answers all of them.
struct Group {
    space: Arc<Space>,
    writes: Vec<Write>,
    /// Those that were not answered yet: of the last writes.
    replies: VecDeque<Reply>,
    /// Of how many of the first that were not answered, a COMMIT may have been sent.
    committing_count: AtomicUsize,
}

impl Group {
    fn new(space: Arc<Space>, members: impl Iterator<Item = (Write, Reply)>) -> Self {
        let (writes, replies) = members.unzip();
        Self { space, writes, replies, committing_count: AtomicUsize::new(0) }
    }

    /// Writes all of it together, or each by itself if one of them spoils that.
    async fn write(mut self) -> Pace {
        let pace = self.attempt(self.replies.len()).await;
        while !self.replies.is_empty() {
            self.attempt(1).await;
        }
        pace
    }

    /// Writes the first `count` that were not answered in one transaction and answers them, unless it fails for a reason that
    /// may be the fault of one of several. Any other failure is everybody's, at once: what does not answer now does not
    /// answer the next one either, who would wait as long again.
    async fn attempt(&mut self, count: usize) -> Pace {
        let first = self.writes.len() - self.replies.len();
        let replies = &self.replies;
        let committing_count = &self.committing_count;
        let commits = || {
            committing_count.store(count, Ordering::Relaxed);
            replies.iter().take(count).any(|reply| !reply.is_closed())
        };
        let outcome = run(&self.space, &self.writes[first..first + count], commits).await;
        self.committing_count.store(0, Ordering::Relaxed);
        let kind = outcome.as_ref().err().map(Error::kind);
        match outcome {
            Ok(effects) => {
                let written = effects.iter().filter(|effect| !matches!(effect, Effect::Refused(_))).count();
                if written > 1 {
                    self.space.stats.writes_grouped.add(written as u64);
                }
                effects.into_iter().for_each(|effect| self.answer(Ok(effect)));
            }
            Err(error) if is_of_one_write(error.kind()) => {
                if count == 1 {
                    self.answer(Err(error));
                }
            }
            Err(error) => {
                let is_unknown = error.kind() == ErrorKind::OutcomeUnknown;
                let count = if is_unknown { count } else { self.replies.len() };
                (0..count).for_each(|_| self.answer(Err(error.clone())));
            }
        }
        if kind == Some(ErrorKind::Timeout) { Pace::TimedOut } else { Pace::InTime }
    }

    /// Answers the first that was not.
    fn answer(&mut self, outcome: Result<Effect>) {
        if let Some(reply) = self.replies.pop_front() {
            // Who left needs no answer.
            let _ = reply.send(outcome);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Something is left only when the task was stopped.
        for _ in 0..self.committing_count.load(Ordering::Relaxed) {
            let detail = "the program shut down while the commit was under way";
            self.answer(Err(Error::new(ErrorKind::OutcomeUnknown, OPERATION, detail)));
        }
        while !self.replies.is_empty() {
            let detail = "the program shut down before the write's turn came; nothing was written";
            self.answer(Err(Error::new(ErrorKind::Closed, OPERATION, detail).with_retry(Retry::Safe)));
        }
    }
}

/// Whether an error may be the fault of one write of several. A right may be missing for one sort of statement only.
fn is_of_one_write(kind: ErrorKind) -> bool {
    kind.is_of_the_write() || kind == ErrorKind::Denied
}
