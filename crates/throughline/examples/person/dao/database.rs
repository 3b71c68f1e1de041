// SPDX-License-Identifier: MIT OR Apache-2.0
//! The database alone.

use throughline::{Resource, Throughline};

use super::{Answer, PersonDao, Result};
use crate::person::Person;
use crate::stores::Stores;

/// The table is read-only here (`access` is left out): a write must meet the cache, and this object knows none.
const CONFIGURATION: &str = r#"
[sources.people]
url = "${DATABASE_URL}"

[resources.person]
source = "people"
cache = "none"
"#;

/// Persons in the database.
#[derive(Debug)]
pub(crate) struct DatabasePersonDao {
    // Whoever opens a `Throughline` keeps it: its connections end with it.
    _throughline: Throughline,
    persons: Resource<str, Person>,
}

impl PersonDao for DatabasePersonDao {
    async fn connect(_stores: &Stores) -> Result<Self> {
        let throughline = Stores::open(CONFIGURATION).await?;
        let persons = throughline.resource("person")?;
        Ok(Self { _throughline: throughline, persons })
    }

    async fn get(&self, id: &str) -> Result<Answer> {
        Ok(Answer { person: self.persons.get(id).await?, cache_failed: false })
    }
}
