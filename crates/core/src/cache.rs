// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a cache offers: look-ups that lease, fills under a lease, marks, publishes under a mark.

use std::fmt;

use crate::{BoxFuture, Entry, Hit, Result, Slot, SlotRef};

/// Who else may read and write the same entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Only this process: its memory.
    Process,
    /// Every process that reaches the same servers.
    Shared,
}

/// Proof that nothing touched a slot since it was given out.
///
/// `connection` names the connection (or the cache instance) that gave it: a cache server may start
/// its numbers anew, so a token is refused on any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Where the token is valid; unique in this process.
    pub connection: u64,
    /// The number that the cache gave.
    pub number: u64,
}

/// The right to fill one key once. Give it back by [`Cache::fill`] or [`Cache::release`].
#[must_use = "a lease that is neither filled nor released keeps others waiting until it expires"]
#[derive(Debug)]
pub struct Lease {
    /// What it allows to fill.
    pub slot: Slot,
    /// Its proof.
    pub token: Token,
}

/// A confirmed note in the cache that a key is being written: its value, if it had one, is gone, and
/// every lease that was given before is void.
#[must_use = "a mark that is neither published nor removed makes readers bypass the cache until it expires"]
#[derive(Debug)]
pub struct Mark {
    /// What is being written.
    pub slot: Slot,
    /// The right to publish; `None` when the cache confirmed only that the slot is empty.
    pub token: Option<Token>,
}

/// The answer to a look-up.
#[derive(Debug)]
pub enum Lookup {
    /// Here it is.
    Hit(Hit),
    /// Nothing there: the caller may load and fill.
    Leased(Lease),
    /// Nothing there, and another holds the lease: wait or bypass.
    Busy,
    /// The key is being written: wait for the publish or bypass.
    Marked,
    /// Nothing there, and the cache gives no lease (no memory, a stranger's value): bypass.
    Refused,
}

/// How a fill or a publish went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Stored.
    Stored,
    /// Something touched the slot since the token was given, or the connection is another: nothing was
    /// stored, and that is right.
    Refused,
    /// The entry is larger than the cache takes; the slot was left without a value.
    TooLarge,
}

/// How a touch went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    /// The entry lives on with the new life.
    Done,
    /// There was no entry, or it changed meanwhile.
    Absent,
}

/// Holds entries and may lose any of them at any time.
///
/// What must hold, and is tested by the contract suite for every cache:
/// 1. A value is stored only under a token that nothing touched since (no blind store exists).
/// 2. Once [`Cache::mark`] or [`Cache::invalidate`] is confirmed for a slot, no look-up that begins later
///    returns what was there before, and every token given before is void.
/// 3. A lease is given to one caller at a time and expires (5 s), as does a mark (10 s).
///
/// Every call has a deadline of its own (look-ups 20 ms, marks 100 ms by default) and ends with
/// [`crate::ErrorKind::Timeout`] or [`crate::ErrorKind::Unavailable`] when the cache does not answer: callers bypass.
///
/// # Cancel safety
/// Dropping a returned future never shifts another caller's answer. The operation may still take place.
pub trait Cache: fmt::Debug + Send + Sync + 'static {
    /// Who shares the entries.
    fn scope(&self) -> Scope;

    /// Looks a slot up and takes the lease when there is nothing.
    fn get<'a>(&'a self, slot: &'a Slot) -> BoxFuture<'a, Result<Lookup>>;

    /// Looks several slots up, pipelined; answers in the order of `slots`, at most 1,000 at a time.
    fn get_many<'a>(&'a self, slots: &'a [Slot]) -> BoxFuture<'a, Vec<Result<Lookup>>>;

    /// Looks a slot up and takes nothing: an entry or `None`.
    fn peek<'a>(&'a self, slot: &'a Slot) -> BoxFuture<'a, Result<Option<Hit>>>;

    /// Stores what was loaded under `lease`, for `ttl_ms`. The store is on its way, in order before every
    /// later call for this slot, when this returns; the future only tells how it went and may be dropped.
    fn fill(&self, lease: Lease, entry: Entry, ttl_ms: u64) -> BoxFuture<'static, Result<Fill>>;

    /// Gives a lease back unused. Never waits; if it gets lost, the lease expires.
    fn release(&self, lease: Lease);

    /// Notes that the slots are being written; answers in the order of `slots`. `Ok` means confirmed.
    fn mark<'a>(&'a self, slots: &'a [Slot]) -> BoxFuture<'a, Vec<Result<Mark>>>;

    /// Replaces a mark by the written value, for `ttl_ms`. On its way when this returns, like [`Cache::fill`].
    fn publish(&self, mark: Mark, entry: Entry, ttl_ms: u64) -> BoxFuture<'static, Result<Fill>>;

    /// Takes a mark away and leaves the slot empty. Never waits; if it gets lost, the mark expires.
    fn unmark(&self, mark: Mark);

    /// Empties the slots; answers in the order of `slots`. `Ok` means confirmed.
    fn invalidate<'a>(&'a self, slots: &'a [Slot]) -> BoxFuture<'a, Vec<Result<()>>>;

    /// Gives an entry (never a lease or a mark) another life.
    fn touch<'a>(&'a self, slot: &'a Slot, ttl_ms: u64) -> BoxFuture<'a, Result<Touch>>;
}

/// The look-up of a cache in this process's memory: synchronous, without allocation, without a lease.
pub trait LocalCache: fmt::Debug + Send + Sync + 'static {
    /// Looks a slot up at once. `None` means not here, or not to be told without waiting: use [`Cache::get`].
    fn try_get(&self, slot: SlotRef<'_>) -> Option<Hit>;
}
