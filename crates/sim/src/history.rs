// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the workers asked, when, and what they were answered.
//!
//! A worker has at most one operation under way, so its operations are in order of time; the checker merges
//! the workers' histories and never holds one of them whole in memory.

mod file;

use std::io;
use std::path::PathBuf;

pub use file::{Reader, Writer};

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Read the key.
    Get,
    /// Replace the key's row.
    Put,
    /// Remove the key's row.
    Delete,
}

/// What the caller knows about the outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was acknowledged (a write) or answered (a read).
    Ok,
    /// The system said that it did nothing.
    Fail,
    /// Nobody said: a time-out, a connection that broke after sending, an error without that promise.
    Unknown,
}

/// What a read showed, or what a put stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// No such row.
    Absent,
    /// The payload that this operation wrote.
    Value {
        /// The writing operation.
        op: u64,
        /// Its counter.
        counter: u64,
    },
    /// No payload, a broken one, or one that belongs to another key.
    Garbled,
}

/// Who answered a read, as far as the system says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServedFrom {
    /// The system does not say.
    Unsaid,
    /// A tier in the answering process.
    L1,
    /// The shared cache.
    L2,
    /// The source.
    Source,
    /// An entry whose time had run out.
    Stale,
    /// The journal of accepted writes.
    Journal,
}

/// One operation of one worker. Times are nanoseconds since the run's epoch, from one monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Who asked; 0 is the seeder, which writes the first rows.
    pub worker: u32,
    /// Its number, unique in the run.
    pub op: u64,
    /// What was asked.
    pub kind: Kind,
    /// Of which key.
    pub key: i64,
    /// When the call began.
    pub begin_ns: u64,
    /// When it ended; `None` when nobody knows whether it ever took effect, or when.
    pub end_ns: Option<u64>,
    /// What the caller knows.
    pub outcome: Outcome,
    /// What was read or, for a put, written.
    pub seen: Seen,
    /// Who answered.
    pub served: ServedFrom,
}

/// Where the operations of one worker are.
#[derive(Debug)]
pub enum Log {
    /// In memory, for tests.
    Memory(Vec<Operation>),
    /// In a file that [`Writer`] wrote.
    File(PathBuf),
}

impl Log {
    fn operations(&self) -> io::Result<Operations<'_>> {
        Ok(match self {
            Self::Memory(operations) => Box::new(operations.iter().copied().map(Ok)),
            Self::File(path) => Box::new(Reader::open(path)?),
        })
    }
}

/// The operations of a run, one log per worker.
#[derive(Debug, Default)]
pub struct History {
    logs: Vec<Log>,
}

/// The operations of one worker, in order.
pub type Operations<'a> = Box<dyn Iterator<Item = io::Result<Operation>> + 'a>;

impl History {
    /// A history of these logs. Each log holds one worker's operations in order of time.
    pub fn new(logs: Vec<Log>) -> Self {
        Self { logs }
    }

    /// A history in memory; `operations` may be of any workers but each worker's are in order of time.
    pub fn from_operations(operations: impl IntoIterator<Item = Operation>) -> Self {
        let mut workers: Vec<Vec<Operation>> = Vec::new();
        for operation in operations {
            match workers.iter_mut().find(|log| log[0].worker == operation.worker) {
                Some(log) => log.push(operation),
                None => workers.push(vec![operation]),
            }
        }
        Self { logs: workers.into_iter().map(Log::Memory).collect() }
    }

    /// One iterator per worker.
    ///
    /// # Errors
    /// When a file cannot be opened.
    pub fn workers(&self) -> io::Result<Vec<Operations<'_>>> {
        self.logs.iter().map(Log::operations).collect()
    }

    /// Every operation, worker by worker.
    ///
    /// # Errors
    /// When a file cannot be opened; a file that cannot be read yields its error in its place.
    pub fn operations(&self) -> io::Result<impl Iterator<Item = io::Result<Operation>> + '_> {
        Ok(self.workers()?.into_iter().flatten())
    }
}
