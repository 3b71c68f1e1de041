// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a source with transactions offers beyond single writes: several reads and writes, and the application's own
//! SQL, that become visible together.

use std::fmt;

use crate::{BoxFuture, Effect, Key, Prepared, Record, Result, Write};

/// A table's number within its source, as the source gave it to a resource. A transaction names resources by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Member(pub u32);

/// A value between the application's own SQL and the database. Never shown: `Debug` tells its class only.
#[derive(Clone, PartialEq)]
pub enum Parameter {
    /// No value.
    Null,
    /// A whole number. One beyond `i64` is returned as text.
    Integer(i64),
    /// Floating point.
    Real(f64),
    /// Text; what a database returns of other types (decimals, dates, times) is text, too.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl fmt::Debug for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "Null",
            Self::Integer(_) => "Integer(..)",
            Self::Real(_) => "Real(..)",
            Self::Text(_) => "Text(..)",
            Self::Bytes(_) => "Bytes(..)",
        })
    }
}

/// What a statement of the application did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Executed {
    /// How many rows it met or changed; 0 for a SELECT.
    pub changed: u64,
    /// The rows that it returned, at most [`Executed::ROW_COUNT_MAX`].
    pub rows: Vec<Vec<Parameter>>,
}

impl Executed {
    /// The most rows of one statement; a statement that returns more fails.
    pub const ROW_COUNT_MAX: usize = 10_000;
}

/// Whether a read takes the row's lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// It does not: another transaction may change the row before this one ends.
    Free,
    /// It does: nobody changes the row before this one ends.
    Locked,
}

/// Begins transactions. SQL sources have it.
pub trait Transactions: fmt::Debug + Send + Sync + 'static {
    /// Begins a transaction on a connection of its own.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Timeout`] and [`crate::ErrorKind::Overloaded`] when no connection becomes free,
    /// [`crate::ErrorKind::Unavailable`].
    fn begin(&self) -> BoxFuture<'_, Result<Box<dyn Transaction>>>;
}

/// An open transaction. It sees its own writes, and nobody else does before the commit.
///
/// Its life is bounded: when nothing is asked of it for too long, when it is open for too long, after the first error
/// of any of its calls, and when it or the future of one of its calls is dropped, it rolls back.
/// Later calls then fail with [`crate::Retry::Safe`]: nothing was written.
pub trait Transaction: fmt::Debug + Send {
    /// Reads a record as this transaction sees it.
    fn read<'a>(
        &'a mut self,
        member: Member,
        key: &'a Key,
        hold: Hold,
    ) -> BoxFuture<'a, Result<Option<Record>>>;

    /// Runs the statements of a write. A refused condition is an effect and ends nothing.
    fn write<'a>(&'a mut self, member: Member, write: &'a Write) -> BoxFuture<'a, Result<Effect>>;

    /// Runs one statement of the application: SELECT, INSERT, UPDATE, DELETE, REPLACE, VALUES or WITH.
    fn execute<'a>(
        &'a mut self,
        sql: &'a str,
        parameters: &'a [Parameter],
    ) -> BoxFuture<'a, Result<Executed>>;

    /// Says that the application's SQL changes, or has changed, the row of `key`, and returns the row's canonical key.
    /// From [`Transaction::prepare`] on fills of it are refused, as those of a written row are.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidKey`] also when only the row could tell its canonical key, and there is none now.
    fn touch<'a>(&'a mut self, member: Member, key: &'a Key) -> BoxFuture<'a, Result<Key>>;

    /// Ends the statements and takes what locks are still missing; what is returned waits for its verdict. It has no
    /// effects: each was told when it was made.
    fn prepare(self: Box<Self>) -> BoxFuture<'static, Result<Box<dyn Prepared>>>;
}
