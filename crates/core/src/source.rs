// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a source offers to one resource: loads that say whether they may be cached, and writes in two steps.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::{BoxFuture, Error, Key, Position, Record, Result, Version};

/// A flag that is tripped just before the first request of a flight leaves this process.
///
/// Before it is tripped, whoever begins to read may join the flight; afterwards the flight's answer may be
/// older than a write that completed before that reader began.
#[derive(Clone, Debug, Default)]
pub struct Sent(Arc<AtomicBool>);

impl Sent {
    /// A flag that is not tripped.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trips the flag, for good: a retry keeps it tripped.
    pub fn trip(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether it was tripped.
    pub fn is_tripped(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// What a load is for.
#[derive(Clone, Debug)]
pub struct Intent {
    /// Whether the caller holds a lease: then the source probes the keys' locks before its snapshot and
    /// says in [`Loaded::fillable`] whether the result may be filled. Otherwise it reads plainly.
    pub fill: bool,
    /// To be tripped before the request is sent.
    pub sent: Sent,
}

/// What a load found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The record; `None` when the source has no such key.
    pub record: Option<Record>,
    /// Whether it may be filled: no writer held the key when it was probed, before the snapshot, and the
    /// key is exactly the row's canonical one. Always `false` for [`Intent::fill`] `= false`.
    pub fillable: bool,
}

/// How a key compares with the canonical key of the row that it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Canonical {
    /// It is canonical, as far as can be known without asking the source.
    Same,
    /// It means the same row as this one (`042` and `42`) and is answered uncached.
    Other(Key),
}

impl Canonical {
    /// The canonical key, of which this is what was found out about `key`.
    #[must_use]
    pub fn of(self, key: &Key) -> Key {
        match self {
            Self::Same => key.clone(),
            Self::Other(canonical) => canonical,
        }
    }
}

/// Reads one resource's records on the primary.
///
/// # Cancel safety
/// Dropping a returned future is always safe; the statement may run to its end without us.
pub trait Loader: fmt::Debug + Send + Sync + 'static {
    /// Checks `key` against the columns' types, without any I/O.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidKey`] when no row can have this key (wrong number of parts, not a number, …).
    fn canonical(&self, key: &Key) -> Result<Canonical>;

    /// Reads `key`.
    fn load<'a>(&'a self, key: &'a Key, intent: Intent) -> BoxFuture<'a, Result<Loaded>>;

    /// Reads several keys in as few statements as possible (one, on the healthy path); answers in the order
    /// of `keys`, at most 1,000 at a time.
    fn load_many<'a>(&'a self, keys: &'a [Key], intent: Intent) -> BoxFuture<'a, Result<Vec<Loaded>>>;
}

/// Which record a write is meant for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// This one.
    Key(Key),
    /// A new one, whose key the value holds, the source makes, or (uuid) is made here.
    New,
}

/// What a write does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Replaces the whole record by this value (JSON object or raw bytes, as users send it) or inserts it.
    Put {
        /// The value.
        value: Bytes,
        /// The memcached client's flags, kept where the resource has a column for them.
        flags: u32,
    },
    /// Removes the record.
    Delete,
}

/// Under which condition a write takes place, decided under the row's lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Always.
    Always,
    /// If there is no such record.
    Absent,
    /// If there is such a record.
    Present,
    /// If the record has one of these versions (at most 16).
    Unchanged(Vec<Version>),
}

/// One write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Which record.
    pub target: Target,
    /// What.
    pub change: Change,
    /// When.
    pub condition: Condition,
}

/// Why a write did not take place. A result, not an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The record is there although it must not be.
    Exists,
    /// The record is not there although it must be (or was to be deleted).
    Absent,
    /// The record has another version, this one.
    Conflict(Version),
}

/// What a prepared write did to the source, visible to nobody before the commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The record is stored.
    Stored {
        /// The row's canonical key, read back under the lock.
        key: Key,
        /// The record as a reader will see it, read back under the lock; `None` when it could not be, and
        /// then nothing may be published.
        record: Option<Record>,
        /// Whether it was inserted rather than replaced.
        created: bool,
    },
    /// The record is removed.
    Deleted {
        /// The row's canonical key, as it was stored.
        key: Key,
    },
    /// The write is kept in a journal and will be brought to the source (write-behind).
    Accepted {
        /// The row's canonical key.
        key: Key,
        /// The record as a reader sees it from now on; `None` when it is removed.
        record: Option<Record>,
        /// By which to ask later what has become of it.
        receipt: WriteReceipt,
    },
    /// Nothing was done.
    Refused(Refusal),
}

/// Names an accepted write. It has its number when the commit has returned.
#[derive(Clone, Debug, Default)]
pub struct WriteReceipt(Arc<OnceLock<Position>>);

impl WriteReceipt {
    /// The place in the journal; `None` before the commit has returned.
    pub fn position(&self) -> Option<Position> {
        self.0.get().copied()
    }

    /// Says where the write is kept, once.
    pub fn set(&self, position: Position) {
        let _ = self.0.set(position);
    }
}

impl PartialEq for WriteReceipt {
    fn eq(&self, other: &Self) -> bool {
        self.position() == other.position()
    }
}

impl Eq for WriteReceipt {}

/// Changes one resource's records, in two steps, so that the cache can be marked in between.
pub trait Writer: fmt::Debug + Send + Sync + 'static {
    /// Runs the statements in one transaction and holds their locks; nothing is visible before the commit.
    /// One [`Effect`] per write, in their order. At most 256 writes.
    ///
    /// # Errors
    /// Nothing was written, whatever the kind: [`crate::ErrorKind::InvalidKey`], [`crate::ErrorKind::InvalidValue`],
    /// [`crate::ErrorKind::Constraint`], [`crate::ErrorKind::Denied`], [`crate::ErrorKind::Timeout`] (a lock or the
    /// statement), [`crate::ErrorKind::Unavailable`].
    ///
    /// # Cancel safety
    /// Dropping the future rolls back.
    fn prepare<'a>(&'a self, writes: &'a [Write]) -> BoxFuture<'a, Result<Box<dyn Prepared>>>;
}

/// A transaction that waits for its commit, for a bounded time (5 s); then, or when it is dropped, it rolls back.
pub trait Prepared: fmt::Debug + Send {
    /// What the writes did.
    fn effects(&self) -> &[Effect];

    /// Makes the writes durable and visible.
    ///
    /// # Errors
    /// [`crate::ErrorKind::OutcomeUnknown`] when the source did not say how it went; every other kind means that
    /// nothing was written.
    ///
    /// # Cancel safety
    /// Once it was polled, the commit takes place although the future is dropped.
    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<()>>;

    /// Undoes the writes and ends when their locks are released.
    fn roll_back(self: Box<Self>) -> BoxFuture<'static, std::result::Result<(), Error>>;
}
