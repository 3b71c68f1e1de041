// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a source tells of changes that did not go through us: a feed, pulled at our pace.

use std::fmt;
use std::sync::Arc;

use crate::{BoxFuture, Key, Result};

/// A piece of news: what may have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// The row of this canonical key was inserted, updated or deleted.
    Row {
        /// The table, as the catalogue spells it.
        table: Arc<str>,
        /// The row's key.
        key: Key,
    },
    /// Any row may have: the table was truncated or altered, too many rows changed to be named one by one, or
    /// news were missed. Every process is told, also those that share their other news.
    Table {
        /// The table, as the catalogue spells it.
        table: Arc<str>,
        /// How long ago that was noticed, in milliseconds by the source's own clock: every entry that was
        /// filled before may be wrong.
        age_ms: u64,
    },
}

/// What was taken from a feed at one time. Dropped without [`Receipt::confirm`], it comes again.
#[derive(Debug)]
pub struct Batch {
    /// The news, at most 1,000 rows.
    pub news: Vec<News>,
    /// Whether nothing was left behind when this was taken, by others who share the feed neither.
    pub is_all: bool,
    /// Age of the oldest piece that was not confirmed, in milliseconds by the source's clock; 0 without any.
    pub lag_ms: u64,
    /// To be handed back when every cache has confirmed.
    pub receipt: Box<dyn Receipt>,
}

/// Hands taken news back as done.
pub trait Receipt: fmt::Debug + Send {
    /// Says that every cache confirmed the invalidations, so that the news need not come again.
    ///
    /// # Errors
    /// It may come again then, which does no harm.
    fn confirm(self: Box<Self>) -> BoxFuture<'static, Result<()>>;
}

/// A source's stream of news. News are taken, not scanned: there is no "everything after number n", because the
/// order of the numbers is not the order of the commits. Each comes at least once.
pub trait Feed: fmt::Debug + Send + Sync + 'static {
    /// Waits until there may be something to take: woken up by the source, or for the poll's interval.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    fn wait(&self) -> BoxFuture<'_, ()>;

    /// Takes what there is, without waiting for more.
    ///
    /// # Cancel safety
    /// Dropping the future is like dropping the batch.
    fn take(&self) -> BoxFuture<'_, Result<Batch>>;
}
