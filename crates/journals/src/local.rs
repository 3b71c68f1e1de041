// SPDX-License-Identifier: MIT OR Apache-2.0
//! A journal in a folder of this machine: append-only segments, written by one thread.
//!
//! 1. [`LocalJournal::append`] puts a record into the queue and wakes the thread.
//! 2. The thread takes all that waits, writes it in one go, and syncs once (group commit).
//! 3. Only then are the callers answered. While a sync runs, the next group gathers.
//!
//! Segments in which everything is done are removed, and what stays for long is moved out of their way.
//!
//! What is pending survives a crash of the process and a loss of power, with disks that keep what they have synced.
//! A sync that fails is never tried again: the system may have dropped what it could not write, so nobody knows what
//! is on the disk. The journal then refuses everything until it is opened anew, from the disk.

pub(crate) mod files;
pub(crate) mod folder;
mod log;
mod recover;
mod segment;
mod worker;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use throughline_core::{BoxFuture, Error, ErrorKind, Journal, Position, Result};
use tokio::sync::oneshot;

use self::files::Files;
use self::folder::Folder;
use self::log::{Fault, Log};
use self::worker::Shared;

/// How full the journal is, in percent, when appends begin to wait, and how long they wait at the most.
const SLOW: (u64, u64) = (75, 50);

/// What to set.
#[derive(Clone, Debug)]
pub struct LocalJournalConfig {
    /// The folder; it is made if there is none.
    pub folder: PathBuf,
    /// Bytes of one segment (16 MiB by default). A record takes at most half of one.
    pub segment_bytes: u32,
    /// The most records that may be pending (1,000,000 by default).
    pub entry_count_max: usize,
    /// The most bytes that segments may take on disk (1 GiB by default; at least four segments).
    pub bytes_max: u64,
}

impl LocalJournalConfig {
    /// The defaults, in `folder`.
    pub const fn new(folder: PathBuf) -> Self {
        Self { folder, segment_bytes: 16 << 20, entry_count_max: 1_000_000, bytes_max: 1 << 30 }
    }
}

/// A journal that was opened, with what an earlier process left in it.
#[derive(Debug)]
pub struct Opened {
    /// The journal.
    pub journal: Arc<LocalJournal>,
    /// Records that are not confirmed, in order.
    pub pending: Vec<(Position, Bytes)>,
    /// The position of the next record: greater than that of every record it ever held.
    pub next: Position,
    /// Bytes of a torn tail that were cut off: something that had never been acknowledged.
    pub cut_bytes: u64,
}

/// What a journal counts about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LocalJournalStats {
    /// Records that are pending, or waiting to be written.
    pub entries: u64,
    /// Bytes that segments take on disk.
    pub bytes: u64,
    /// Records that were appended and acknowledged.
    pub appends: u64,
    /// Groups that were synced.
    pub groups: u64,
}

/// See the module's text. Dropping it writes what waits, and waits for that.
pub struct LocalJournal {
    shared: Arc<Shared>,
    record_bytes_max: usize,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for LocalJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalJournal").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

impl LocalJournal {
    /// Opens the journal in the folder that `config` names. Waits for the disk: call it where that is allowed.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] when another process has the folder, or a newer program made it;
    /// [`ErrorKind::Corrupt`] when something acknowledged is damaged, with the file and what to do;
    /// [`ErrorKind::Unavailable`], [`ErrorKind::Overloaded`] when the disk fails or is full.
    pub fn open(config: &LocalJournalConfig) -> Result<Opened> {
        let folder = Folder::take(&config.folder)?;
        Self::open_on(Box::new(folder), config)
    }

    /// Opens the journal in `files`; the folder that `config` names is not looked at.
    ///
    /// # Errors
    /// As [`LocalJournal::open`].
    pub fn open_on(mut files: Box<dyn Files>, config: &LocalJournalConfig) -> Result<Opened> {
        let recovered = recover::recover(files.as_mut())?;
        let next = Position(recovered.found.next);
        let segment_bytes = config.segment_bytes.max(4_096) as usize;
        let bytes_max = config.bytes_max.max(4 * segment_bytes as u64);
        let log =
            Log::start(files, recovered.found, segment_bytes, bytes_max).map_err(|fault| match fault {
                Fault::Full(error) => full("open a journal", &error),
                Fault::Poisoned(error) => {
                    let detail = format!("its folder cannot be written: {}", error.kind());
                    Error::new(ErrorKind::Unavailable, "open a journal", detail).with_cause(error)
                }
            })?;
        let shared = Arc::new(Shared::new(&log, config.entry_count_max, bytes_max));
        let thread = std::thread::Builder::new().name("journal".to_owned());
        let thread = thread.spawn({
            let shared = shared.clone();
            move || worker::run(log, &shared)
        });
        let thread = thread.map_err(|error| {
            Error::new(ErrorKind::Overloaded, "open a journal", "the system gives no thread")
                .with_cause(error)
        })?;
        let journal = Self { shared, record_bytes_max: segment_bytes / 2, thread: Some(thread) };
        let (pending, cut_bytes) = (recovered.pending, recovered.cut_bytes);
        Ok(Opened { journal: Arc::new(journal), pending, next, cut_bytes })
    }

    /// What it counts about itself.
    pub fn stats(&self) -> LocalJournalStats {
        self.shared.stats()
    }
}

impl Journal for LocalJournal {
    fn append(&self, record: Bytes) -> BoxFuture<'static, Result<Position>> {
        let pushed = match record.len() {
            len if len > self.record_bytes_max => {
                let detail = format!("a record has {len} bytes, and {} fit", self.record_bytes_max);
                Err(Error::new(ErrorKind::TooLarge, "append to the journal", detail))
            }
            _ => self.shared.push(record),
        };
        let shared = self.shared.clone();
        let appending = pushed.map(|answer| Appending { shared: shared.clone(), answer, kept: None });
        Box::pin(async move {
            let mut appending = appending?;
            appending.wait().await?;
            // Near the bound callers are slowed down, so that what drains the journal can catch up.
            if let Some(over) = shared.percent_full().checked_sub(SLOW.0).filter(|over| *over > 0) {
                let pause = SLOW.1 * over.min(100 - SLOW.0) / (100 - SLOW.0);
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
            Ok(appending.take())
        })
    }

    fn confirm(&self, positions: &[Position]) {
        self.shared.confirm(positions);
    }

    fn flush(&self) -> BoxFuture<'static, Result<()>> {
        let asked = self.shared.flush();
        let shared = self.shared.clone();
        Box::pin(async move { asked?.await.unwrap_or_else(|_| Err(shared.refusal())) })
    }
}

impl Drop for LocalJournal {
    fn drop(&mut self) {
        self.shared.close();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so.
            drop(thread.join());
        }
    }
}

/// An append under way. Whoever drops it does not learn the record's position, so nobody could confirm it.
struct Appending {
    shared: Arc<Shared>,
    answer: oneshot::Receiver<Result<Position>>,
    kept: Option<Position>,
}

impl Appending {
    async fn wait(&mut self) -> Result<()> {
        let answer = (&mut self.answer).await;
        self.kept = Some(answer.unwrap_or_else(|_| Err(self.shared.refusal()))?);
        Ok(())
    }

    /// The position, for the caller to keep.
    fn take(mut self) -> Position {
        self.kept.take().expect("it was waited for")
    }
}

impl Drop for Appending {
    fn drop(&mut self) {
        self.answer.close();
        let kept = self.kept.or_else(|| self.answer.try_recv().ok()?.ok());
        if let Some(position) = kept {
            self.shared.confirm(&[position]);
        }
    }
}

fn full(operation: &'static str, error: &std::io::Error) -> Error {
    let detail = match error.kind() {
        std::io::ErrorKind::QuotaExceeded => {
            "it is full: what it holds must be done first, or give it more room".to_owned()
        }
        _ => format!("its disk is full ({}): make room", error.kind()),
    };
    Error::new(ErrorKind::Overloaded, operation, detail)
}
