// SPDX-License-Identifier: MIT OR Apache-2.0
//! The service: what callers see, and the policy that only its implementation knows.

use throughline::{Refusal, Versioned};

use crate::dao::{CachedPersonDao, PersonDao as _, Result};
use crate::person::Person;

/// Persons, for callers who know nothing of databases and caches.
pub(crate) trait PersonService {
    /// The person with this id, if there is one.
    async fn get(&self, id: &str) -> Result<Option<Person>>;

    /// The person with this id, to be edited and given to [`PersonService::save`].
    async fn edit(&self, id: &str) -> Result<Option<Versioned<Person>>>;

    /// Saves an edited person; refused when somebody else saved since [`PersonService::edit`].
    async fn save(&self, id: &str, edited: &Versioned<Person>) -> Result<std::result::Result<(), Refusal>>;
}

/// Persons from the cache, or from the database alone for as long as `use_db` says so.
#[derive(Debug)]
pub(crate) struct CachedPersonService {
    dao: CachedPersonDao,
}

impl CachedPersonService {
    pub(crate) fn new(dao: CachedPersonDao) -> Self {
        Self { dao }
    }

    /// Reads from the database from now on, or from the cache again; for operators, at run time.
    ///
    /// Writes meet the cache either way, so nothing stale waits there for the day it is switched back.
    ///
    /// # Errors
    /// The way back is closed while the cache has not confirmed every invalidation.
    pub(crate) async fn use_db(&self, on: bool) -> Result<()> {
        self.dao.use_database(on).await
    }
}

impl PersonService for CachedPersonService {
    async fn get(&self, id: &str) -> Result<Option<Person>> {
        let answer = self.dao.get(id).await?;
        if answer.cache_failed {
            // The database has answered, so this is the operator's concern and not the caller's.
            tracing::warn!("Cache add failed.");
        }
        Ok(answer.person)
    }

    async fn edit(&self, id: &str) -> Result<Option<Versioned<Person>>> {
        self.dao.get_versioned(id).await
    }

    async fn save(&self, id: &str, edited: &Versioned<Person>) -> Result<std::result::Result<(), Refusal>> {
        self.dao.put_if_untouched(id, edited).await
    }
}
