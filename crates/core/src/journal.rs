// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a journal offers: to keep a record until it is confirmed, whatever becomes of the process.

use std::fmt;

use bytes::Bytes;

use crate::{BoxFuture, Result};

/// The place of a record in its journal. Later records have larger ones, and none is used twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

/// A durable queue of records whose meaning is their writer's.
///
/// What must hold: a record whose append was answered with `Ok` is told by whoever opens the journal next, until it
/// was confirmed; a record is told whole or not at all; and records are told in the order of their positions.
pub trait Journal: fmt::Debug + Send + Sync + 'static {
    /// Keeps `record`; ready when it would survive a loss of power. Records have their positions in the order of these
    /// calls, not of when the futures are polled.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Overloaded`] when there is no room: nothing was kept. [`crate::ErrorKind::OutcomeUnknown`]
    /// when the disk did not say whether it was kept; [`crate::ErrorKind::Unavailable`] from then on.
    ///
    /// # Cancel safety
    /// Dropping the future withdraws the record. A loss of power soon afterwards may bring it back.
    fn append(&self, record: Bytes) -> BoxFuture<'static, Result<Position>>;

    /// Notes that these records need not be kept any longer. Never waits; a loss of power soon afterwards may
    /// bring them back, so what they stand for must bear being done twice.
    fn confirm(&self, positions: &[Position]);

    /// Ready when what was confirmed before this call stays so, also over a loss of power.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Overloaded`] when there was no room for some mark, and [`crate::ErrorKind::Unavailable`] when the disk
    /// failed: then some records may come back.
    ///
    /// # Cancel safety
    /// Dropping the future stops the waiting only.
    fn flush(&self) -> BoxFuture<'static, Result<()>>;
}
