// SPDX-License-Identifier: MIT OR Apache-2.0
//! The thread that writes, and the queue before it.

use std::collections::VecDeque;
use std::io;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use throughline_core::{Error, ErrorKind, Position, Result};
use tokio::sync::oneshot;

use super::log::{Fault, Log};
use super::{LocalJournalStats, full};

/// Bytes that may wait to be written; further appends are refused.
const QUEUE_BYTES_MAX: usize = 64 << 20;
const APPEND: &str = "append to the journal";

/// What callers and the thread share.
pub(super) struct Shared {
    queue: Mutex<Queue>,
    arrived: Condvar,
    entry_count_max: usize,
    bytes_max: u64,
}

#[derive(Default)]
struct Queue {
    appends: VecDeque<Waiting>,
    append_bytes: usize,
    /// Positions that are done; no more than there are entries, but for doubles.
    done: Vec<u64>,
    /// Those who wait until the marks of what is done are on disk.
    flushes: Vec<oneshot::Sender<Result<()>>>,
    is_closed: bool,
    /// Why nothing is accepted any more.
    poison: Option<Error>,
    stats: LocalJournalStats,
}

/// What the thread takes in one go.
struct Work {
    appends: VecDeque<Waiting>,
    done: Vec<u64>,
    flushes: Vec<oneshot::Sender<Result<()>>>,
}

struct Waiting {
    record: Bytes,
    answer: oneshot::Sender<Result<Position>>,
}

impl Shared {
    pub(super) fn new(log: &Log, entry_count_max: usize, bytes_max: u64) -> Self {
        let stats =
            LocalJournalStats { entries: log.pending() as u64, bytes: log.bytes(), ..Default::default() };
        let queue = Mutex::new(Queue { stats, ..Queue::default() });
        Self { queue, arrived: Condvar::new(), entry_count_max, bytes_max }
    }

    pub(super) fn stats(&self) -> LocalJournalStats {
        self.queue.lock().stats
    }

    /// How much of what is allowed is taken: of entries or of bytes, whichever is more.
    pub(super) fn percent_full(&self) -> u64 {
        let stats = self.stats();
        let entries = stats.entries * 100 / (self.entry_count_max as u64).max(1);
        entries.max(stats.bytes * 100 / self.bytes_max)
    }

    /// Why nothing is accepted any more.
    pub(super) fn refusal(&self) -> Error {
        let closed = || Error::new(ErrorKind::Closed, APPEND, "the journal was closed");
        self.queue.lock().poison.clone().unwrap_or_else(closed)
    }

    pub(super) fn push(&self, record: Bytes) -> Result<oneshot::Receiver<Result<Position>>> {
        let mut queue = self.queue.lock();
        if let Some(poison) = &queue.poison {
            return Err(poison.clone());
        }
        let is_over = queue.append_bytes + record.len() > QUEUE_BYTES_MAX;
        if is_over || queue.stats.entries >= self.entry_count_max as u64 {
            let error = io::Error::from(io::ErrorKind::QuotaExceeded);
            return Err(full(APPEND, &error));
        }
        queue.stats.entries += 1;
        queue.append_bytes += record.len();
        let (answer, outcome) = oneshot::channel();
        queue.appends.push_back(Waiting { record, answer });
        drop(queue);
        self.arrived.notify_one();
        Ok(outcome)
    }

    pub(super) fn confirm(&self, positions: &[Position]) {
        let mut queue = self.queue.lock();
        if queue.poison.is_none() {
            queue.done.extend(positions.iter().map(|position| position.0));
            self.arrived.notify_one();
        }
    }

    /// Has all marks of what is done synced.
    pub(super) fn flush(&self) -> Result<oneshot::Receiver<Result<()>>> {
        let mut queue = self.queue.lock();
        if let Some(poison) = &queue.poison {
            return Err(poison.clone());
        }
        let (answer, outcome) = oneshot::channel();
        queue.flushes.push(answer);
        drop(queue);
        self.arrived.notify_one();
        Ok(outcome)
    }

    pub(super) fn close(&self) {
        self.queue.lock().is_closed = true;
        self.arrived.notify_one();
    }

    /// Waits for work; `None` when there will be no more.
    fn take(&self) -> Option<Work> {
        let mut queue = self.queue.lock();
        while queue.appends.is_empty() && queue.done.is_empty() && queue.flushes.is_empty() {
            if queue.is_closed {
                return None;
            }
            self.arrived.wait(&mut queue);
        }
        queue.append_bytes = 0;
        let Queue { appends, done, flushes, .. } = &mut *queue;
        Some(Work {
            appends: std::mem::take(appends),
            done: std::mem::take(done),
            flushes: std::mem::take(flushes),
        })
    }
}

/// Writes until the journal is closed or poisoned.
pub(super) fn run(mut log: Log, shared: &Shared) {
    while let Some(work) = shared.take() {
        let mut group = Group { log: &mut log, shared, staged: Vec::new() };
        if let Err(error) = group.write(work) {
            tracing::error!(%error, "the journal is poisoned");
            let mut queue = shared.queue.lock();
            queue.poison = Some(error);
            // Dropping their senders tells those who wait.
            queue.appends.clear();
            queue.flushes.clear();
            return;
        }
    }
    if let Err(Fault::Full(error) | Fault::Poisoned(error)) = log.sync() {
        tracing::debug!(%error, "the journal's last marks may be lost");
    }
}

/// All that waited at one moment.
struct Group<'a> {
    log: &'a mut Log,
    shared: &'a Shared,
    staged: Vec<(u64, oneshot::Sender<Result<Position>>)>,
}

impl Group<'_> {
    /// # Errors
    /// The journal is poisoned.
    fn write(&mut self, Work { appends, done, flushes }: Work) -> Result<()> {
        let mut removed = 0;
        for position in &done {
            if !self.log.fits(0) {
                self.commit()?;
                self.rotate()?.ok();
            }
            removed += u64::from(self.log.done(*position));
        }
        self.forget(removed);
        for Waiting { record, answer } in appends {
            if answer.is_closed() {
                self.forget(1);
                continue;
            }
            if !self.log.fits(record.len()) {
                self.commit()?;
                if let Err(refusal) = self.rotate()? {
                    self.forget(1);
                    drop(answer.send(Err(refusal)));
                    continue;
                }
            }
            self.staged.push((self.log.stage_entry(&record), answer));
        }
        self.commit()?;
        if !flushes.is_empty() {
            self.flush(flushes)?;
        }
        self.trim()
    }

    fn flush(&mut self, flushes: Vec<oneshot::Sender<Result<()>>>) -> Result<()> {
        // Once into this segment, and what does not fit there into another one.
        let mut outcome = Ok(());
        while outcome.is_ok() && self.log.mark_again() > 0 {
            self.commit()?;
            outcome = self.rotate()?;
        }
        self.commit()?;
        if let Err(Fault::Full(error) | Fault::Poisoned(error)) = self.log.sync() {
            return Err(poisoned(error));
        }
        if outcome.is_ok() && self.log.has_unmarked() {
            outcome = Err(full("flush the journal", &io::Error::from(io::ErrorKind::StorageFull)));
        }
        flushes.into_iter().for_each(|answer| drop(answer.send(outcome.clone())));
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        let outcome = self.log.commit();
        let staged = std::mem::take(&mut self.staged);
        match outcome {
            Ok(()) => {
                let mut queue = self.shared.queue.lock();
                queue.stats.appends += staged.len() as u64;
                queue.stats.groups += u64::from(!staged.is_empty());
                drop(queue);
                for (position, answer) in staged {
                    if answer.send(Ok(Position(position))).is_err() {
                        // Its caller left, and nobody else knows of it.
                        self.shared.confirm(&[Position(position)]);
                    }
                }
                Ok(())
            }
            Err(Fault::Full(error)) => {
                self.forget(staged.len() as u64);
                staged.into_iter().for_each(|(_, answer)| drop(answer.send(Err(full(APPEND, &error)))));
                Ok(())
            }
            Err(Fault::Poisoned(error)) => {
                let unknown = Error::new(
                    ErrorKind::OutcomeUnknown,
                    APPEND,
                    format!("the disk failed ({}), and the record may or may not be kept", error.kind()),
                );
                staged.into_iter().for_each(|(_, answer)| drop(answer.send(Err(unknown.clone()))));
                Err(poisoned(error))
            }
        }
    }

    /// Goes on to the next segment, or says why there is none.
    fn rotate(&mut self) -> Result<Result<()>> {
        match self.log.rotate() {
            Ok(()) => Ok(Ok(())),
            Err(Fault::Full(error)) => Ok(Err(full(APPEND, &error))),
            Err(Fault::Poisoned(error)) => Err(poisoned(error)),
        }
    }

    fn trim(&mut self) -> Result<()> {
        let outcome = self.log.trim();
        self.shared.queue.lock().stats.bytes = self.log.bytes();
        outcome.map_err(|(Fault::Full(error) | Fault::Poisoned(error))| poisoned(error))
    }

    fn forget(&self, entries: u64) {
        self.shared.queue.lock().stats.entries -= entries;
    }
}

fn poisoned(error: io::Error) -> Error {
    let detail = format!(
        "the disk failed once ({}), so what is on it is not known; repair it and start again, and what was \
         acknowledged is read back",
        error.kind()
    );
    Error::new(ErrorKind::Unavailable, APPEND, detail).with_cause(error)
}
