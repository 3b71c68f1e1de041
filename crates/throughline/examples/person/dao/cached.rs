// SPDX-License-Identifier: MIT OR Apache-2.0
//! The cache with the database behind it.

use std::time::Duration;

use throughline::{Bypass, Key, Mode, RecordKey as _, Refusal, Resource, Served, Throughline, Versioned};

use super::{Answer, PersonDao, Result};
use crate::person::Person;
use crate::stores::Stores;

/// How long connecting waits for the cache before it goes on without.
const CACHE_WAIT: Duration = Duration::from_secs(2);

/// Persons in the cache, and in the database when the cache has them not.
#[derive(Clone, Debug)]
pub(crate) struct CachedPersonDao {
    throughline: Throughline,
    persons: Resource<str, Person>,
}

fn configuration(stores: &Stores) -> String {
    let Stores { memcached, level } = stores;
    format!(
        r#"
[sources.people]
url = "${{DATABASE_URL}}"

[caches.shared.memcached]
servers = ["{memcached}"]
# One connection (default: 2) and some patience (default: 20 ms) make a demonstration predictable.
connections = 1
timeout = "100ms"

[resources.person]
source = "people"
cache = "shared"
access = "write"
level = "{level}"
ttl = "5m"
negative_ttl = "30s"
"#
    )
}

impl PersonDao for CachedPersonDao {
    async fn connect(stores: &Stores) -> Result<Self> {
        let throughline = Stores::open(&configuration(stores)).await?;
        let persons = throughline.resource("person")?;
        let dao = Self { throughline, persons };
        dao.wait_for_cache().await?;
        Ok(dao)
    }

    async fn get(&self, id: &str) -> Result<Answer> {
        // `Resource::get` would do, if nobody wanted to know how the cache is.
        let read = self.persons.space().get(&id.key()?).await?;
        let person = read.record().map(|record| serde_json::from_slice(&record.value)).transpose()?;
        Ok(Answer { person, cache_failed: read.served == Served::Bypass(Bypass::CacheError) })
    }
}

impl CachedPersonDao {
    /// Reads a person together with the version that [`CachedPersonDao::put_if_untouched`] takes.
    pub(crate) async fn get_versioned(&self, id: &str) -> Result<Option<Versioned<Person>>> {
        Ok(self.persons.get_versioned(id).await?)
    }

    /// Writes the person unless somebody else has since `edited` was read. The row decides, not the cache.
    pub(crate) async fn put_if_untouched(
        &self,
        id: &str,
        edited: &Versioned<Person>,
    ) -> Result<std::result::Result<(), Refusal>> {
        Ok(self.persons.compare_and_set(id, edited.version, &edited.value).await?)
    }

    /// Sends reads past the cache, or back to it.
    pub(crate) async fn use_database(&self, on: bool) -> Result<()> {
        self.persons.set_mode(if on { Mode::Source } else { Mode::Cache }).await?;
        Ok(())
    }

    /// How often the database was asked for a person.
    pub(crate) fn loads(&self) -> u64 {
        self.persons.space().stats().loads.get()
    }

    /// What is promised about the records, and why.
    pub(crate) fn level(&self) -> String {
        let reason = self.throughline.listing("person").map(|listing| listing.about.level_reason.as_str());
        format!("{}: {}", self.persons.space().policy().level, reason.unwrap_or_default())
    }

    /// Ends the background work.
    pub(crate) async fn close(&self) {
        self.throughline.shut_down(Duration::from_secs(1)).await;
    }

    /// The cache is connected to in the background, and until then reads do without. A program that serves
    /// for months need not wait for it; one that shows what a first read does waits a moment.
    async fn wait_for_cache(&self) -> Result<()> {
        let key = Key::parse("1")?;
        let there = async {
            while self.persons.space().get_cached(&key).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(CACHE_WAIT, there).await.is_err() {
            tracing::warn!("The cache does not answer; going on without it.");
        }
        Ok(())
    }
}
