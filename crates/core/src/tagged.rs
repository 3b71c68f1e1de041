// SPDX-License-Identifier: MIT OR Apache-2.0
//! A look-up that need not send again what the caller already has.

use crate::{BoxFuture, Cache, Lookup, Result, Slot, Token};

/// What is looked up, and what the caller has of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The slot.
    pub slot: Slot,
    /// The tag under which the caller got the entry that it has; `None` when it has none.
    pub tag: Option<Token>,
}

/// The answer to a [`Wanted`].
#[derive(Debug)]
pub enum Checked {
    /// The slot still holds the very entry that the tag came with.
    Same {
        /// Milliseconds until it expires, as exact as the cache counts.
        ttl_left_ms: u64,
    },
    /// It does not, or the caller had none.
    Looked {
        /// As [`Cache::get`] answers.
        lookup: Lookup,
        /// Names a hit's entry from now on. It is no right to fill.
        tag: Option<Token>,
    },
}

/// A cache that names the entries that it gives out, so that a copy can be checked without being sent again.
///
/// A tag is good on the connection that gave it, like every token: what was restarted knows none of the old ones.
pub trait TaggedCache: Cache {
    /// Looks slots up, at most 1,000 at a time; answers in the order of `wanted`. An entry that is the same is
    /// not sent; everything else is looked up as by [`Cache::get`], with a lease when there is nothing.
    fn get_tagged<'a>(&'a self, wanted: &'a [Wanted]) -> BoxFuture<'a, Vec<Result<Checked>>>;
}
