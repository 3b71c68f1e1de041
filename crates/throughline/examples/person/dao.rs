// SPDX-License-Identifier: MIT OR Apache-2.0
//! Data-access objects: each hides one store behind the same two calls.

mod cached;
mod database;

use std::error::Error;

use crate::person::Person;
use crate::stores::Stores;

pub(crate) use cached::CachedPersonDao;
pub(crate) use database::DatabasePersonDao;

/// Whatever can go wrong, for people to read.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Reads persons from one store.
pub(crate) trait PersonDao: Sized {
    /// Connects to the store.
    async fn connect(stores: &Stores) -> Result<Self>;

    /// Reads the person with this id, whatever the id looks like: it is bound, never pasted.
    async fn get(&self, id: &str) -> Result<Answer>;
}

/// What a store says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The person; `None` when nobody has the id.
    pub(crate) person: Option<Person>,
    /// The store has a cache, and it did not answer: nothing could be added to it.
    pub(crate) cache_failed: bool,
}
