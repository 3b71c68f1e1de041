// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a source offers to writes that were accepted before and are brought to it later (write-behind).
//!
//! The writes of a resource are divided into lanes by key, so that several batches can be under way while the
//! writes of each key keep their order. How far a lane was applied is kept by the source itself, changed in the same
//! transaction as the rows: a batch whose commit was not answered is given again, and the source knows whether it
//! has it. A lane also has an owner, because only who holds the journal knows what is still to come.

use std::fmt;

use crate::{BoxFuture, Error, Key, Position, Record, ResourceName, Result, Target, Write};

/// A part of a resource's keys whose accepted writes are applied in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lane {
    /// The resource.
    pub resource: ResourceName,
    /// Which part.
    pub number: u16,
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.resource, self.number)
    }
}

/// Whoever holds the journal of a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The journal's own name, made when its folder was made: the same after a restart, never the same elsewhere.
    /// At most 64 bytes.
    pub journal: String,
    /// What an operator calls the daemon; shown to whoever is refused. At most 255 bytes.
    pub name: String,
}

/// How far a lane was applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watermark {
    /// Grows with every claim, from 1; who has an older one has lost the lane. 0 where the source keeps no watermark.
    pub epoch: u64,
    /// Every record of the lane up to here is applied, or was put aside by its owner.
    pub position: Position,
}

impl Watermark {
    /// Whether the source keeps it: then it knows a batch that it was given before.
    pub const fn is_kept(self) -> bool {
        self.epoch > 0
    }
}

/// The answer to a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The lanes are the caller's; their watermarks, in the order of the lanes.
    Held(Vec<Watermark>),
    /// Somebody else has at least one of them, and none was changed.
    Taken(Owner),
}

/// An accepted write and its place in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedWrite {
    /// Its place. Together with the journal's name it tells this write from every other one.
    pub position: Position,
    /// The write. Its target is a key, never [`crate::Target::New`].
    pub write: Write,
}

impl AcceptedWrite {
    /// The key of its target; `None` for a write that no journal holds.
    pub fn key(&self) -> Option<&Key> {
        match &self.write.target {
            Target::Key(key) => Some(key),
            Target::New => None,
        }
    }
}

/// Writes of one lane, in the order of their positions.
#[derive(Clone, Copy, Debug)]
pub struct DrainBatch<'a> {
    /// The lane.
    pub lane: &'a Lane,
    /// Who applies them.
    pub owner: &'a Owner,
    /// What the watermark must be for the batch to be applied.
    pub from: Watermark,
    /// Where it is afterwards: at least the last position of `writes`. Positions in between that are not among
    /// `writes` were replaced by later ones of their keys, or put aside.
    pub to: Position,
    /// The writes; may be none, then only the watermark moves. At most [`Drain::batch_max`].
    pub writes: &'a [AcceptedWrite],
    /// For how long, in milliseconds, nobody has known whether an earlier try of this very batch was applied or is still under
    /// way; `None` when no such try was made. For sources that keep no watermark: the others know.
    pub unanswered_ms: Option<u64>,
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drained {
    /// It was committed; what became of each write, in their order.
    Done(Vec<Applied>),
    /// Nothing was done, because the watermark is at this place and not where the batch begins: mostly at its end,
    /// because an earlier try was committed. It survives a crash of the source.
    Already(Watermark),
    /// Nothing was done, because this owner has the lane now; it may be the caller, under a newer epoch. If nobody has it,
    /// journal and name are empty.
    Taken(Owner),
}

/// What became of one write of a committed batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The row is as the write says, and a reader will see exactly what was accepted.
    Exact,
    /// The row is written, but the source may have changed what readers see (a default, a trigger, a number's form).
    Changed,
}

/// Why a batch was not applied. Nothing of it was, unless the error's kind is [`crate::ErrorKind::OutcomeUnknown`].
///
/// A write whose condition does not hold spoils its batch, too ([`crate::ErrorKind::Constraint`]): it must be put aside,
/// durably, before the watermark passes it.
#[derive(Debug)]
pub struct Undrained {
    /// Which of the writes is to blame, where that is known.
    pub at: Option<usize>,
    /// The error.
    pub error: Error,
}

/// Applies accepted writes of one resource to its source, each once. Every call comes to an end within a time of its own, as
/// long as the source needs or has (a minute at most): who drains waits for it without a limit.
pub trait Drain: fmt::Debug + Send + Sync + 'static {
    /// The most writes that a batch may hold; at least 1.
    fn batch_max(&self) -> usize;

    /// Checks, without any I/O, what can be known of a write before it is accepted: the key, the value's fields and
    /// their types, what must not be missing. Answers with the record as readers are to see it until the write is
    /// applied, which is what the loader would make of the row; `None` for a deletion. What only the source can fill
    /// in (a default that is no constant, a generated column) is null in it, and the write is [`Applied::Changed`] later.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidKey`], [`crate::ErrorKind::InvalidValue`], [`crate::ErrorKind::TooLarge`].
    fn check(&self, write: &Write) -> Result<Option<Record>>;

    /// Makes `owner` the owner of all `lanes`, under a new epoch, if nobody else owns any of them, or `by_force`.
    /// A lane begins at [`Position`] 0, also where another journal had it before, whose positions mean nothing to this one.
    /// The lanes are different ones, at most 1,024.
    ///
    /// A source that keeps nothing of ours (HTTP) holds every lane for whoever asks, always at epoch 0 and position
    /// 0: the journal alone says what is pending, and the lock on its folder is the ownership.
    ///
    /// # Errors
    /// [`crate::ErrorKind::TooLarge`] for more lanes, and for an owner whose names are too long.
    /// [`crate::ErrorKind::Configuration`] when our own tables are missing, with the remedy; those of any statement.
    /// Nothing was changed, unless [`crate::ErrorKind::OutcomeUnknown`]; claiming again is always safe.
    fn claim<'a>(
        &'a self,
        lanes: &'a [Lane],
        owner: &'a Owner,
        by_force: bool,
    ) -> BoxFuture<'a, Result<Claim>>;

    /// Gives up those of `lanes` that `owner` has. To be called when nothing of them is pending any more. Its journal finds
    /// its watermarks again unless another one claimed them in between.
    ///
    /// # Errors
    /// Those of any statement; giving them up again is always safe.
    fn release<'a>(&'a self, lanes: &'a [Lane], owner: &'a Owner) -> BoxFuture<'a, Result<()>>;

    /// Applies a batch and moves the watermark, in one transaction where the source has them. A source that keeps no
    /// watermark takes any [`DrainBatch::from`], never answers [`Drained::Already`] or [`Drained::Taken`], and knows a
    /// write that it was given before by an idempotency key, for as long as it remembers those.
    ///
    /// # Errors
    /// An error that can pass by itself ([`Error::retry`] is not `Never`) means that the same batch may be given
    /// again, and must be after [`crate::ErrorKind::OutcomeUnknown`]. What is wrong with the table, the rights or our own
    /// tables counts as such: somebody can repair it. Otherwise a write is to blame: the one that is told, or one that
    /// smaller batches find; of a batch with a single write it is told.
    ///
    /// # Cancel safety
    /// A dropped future leaves the outcome unknown; the same batch may be given again.
    fn apply<'a>(&'a self, batch: DrainBatch<'a>) -> BoxFuture<'a, std::result::Result<Drained, Undrained>>;
}
