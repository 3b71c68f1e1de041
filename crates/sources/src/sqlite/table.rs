// SPDX-License-Identifier: MIT OR Apache-2.0
//! One resource of an SQLite source: its loads and writes, handed to the threads.

use std::sync::Arc;

use throughline_core::{
    BoxFuture, Canonical, Error, ErrorKind, Fingerprint, Intent, Key, Loaded, Loader, Member, Prepared,
    Result, Write, Writer,
};
use tokio::sync::oneshot;

use super::apply::WRITE;
use super::plan::Plan;
use super::reader::{Asked, Look, Request};
use super::writer::{Job, refuse_if_altered};
use super::{Shared, closed};
use crate::sql::{Mapping, Table};

const LOAD: &str = "load a row";
/// The most keys of one [`Loader::load_many`].
const KEY_COUNT_MAX: usize = 1_000;
/// The most writes of one [`Writer::prepare`].
const WRITE_COUNT_MAX: usize = 256;

/// A table as a resource.
#[derive(Debug)]
pub struct SqliteTable {
    pub(super) shared: Arc<Shared>,
    pub(super) plan: Arc<Plan>,
    member: Member,
}

impl SqliteTable {
    pub(super) fn new(shared: Arc<Shared>, plan: Arc<Plan>, member: Member) -> Self {
        Self { shared, plan, member }
    }

    /// The number by which transactions name it.
    pub fn member(&self) -> Member {
        self.member
    }

    /// What the records' bytes mean.
    pub fn fingerprint(&self) -> Fingerprint {
        self.plan.mapping.fingerprint(&self.shared.identity)
    }

    /// Where the records come from, for start-up lines: "table `person` of `shop.db`".
    pub fn describe(&self) -> String {
        format!("table `{}` of `{}`", self.table().name, self.shared.file)
    }

    /// The table.
    pub fn table(&self) -> &Arc<Table> {
        self.plan.mapping.table()
    }

    /// How records come from the table's rows.
    pub fn mapping(&self) -> &Mapping {
        &self.plan.mapping
    }

    pub(super) fn refuse_if_altered(&self, operation: &'static str) -> Result<()> {
        let altered = &self.shared.tables[self.plan.table].altered;
        refuse_if_altered(operation, altered, &self.table().name)
    }

    fn look(&self, key: &Key, fill: bool) -> Result<Look> {
        let (values, canonical) = self.plan.mapping.key().read(key)?;
        Ok(Look {
            may_fill: fill && canonical == Canonical::Same,
            canonical: match canonical {
                Canonical::Same => key.clone(),
                Canonical::Other(key) => key,
            },
            key: key.clone(),
            values,
        })
    }

    fn request(&self, intent: Intent, asked: Asked) -> Request {
        Request { plan: Arc::clone(&self.plan), sent: intent.sent, asked }
    }
}

impl Loader for SqliteTable {
    fn canonical(&self, key: &Key) -> Result<Canonical> {
        self.plan.mapping.key().read(key).map(|(_, canonical)| canonical)
    }

    fn load<'a>(&'a self, key: &'a Key, intent: Intent) -> BoxFuture<'a, Result<Loaded>> {
        Box::pin(async move {
            self.refuse_if_altered(LOAD)?;
            let (reply, answer) = oneshot::channel();
            let look = self.look(key, intent.fill)?;
            let request = self.request(intent, Asked::One(look, reply));
            self.shared.requests.push(LOAD, request)?;
            answer.await.unwrap_or_else(|_| Err(closed(LOAD)))
        })
    }

    fn load_many<'a>(&'a self, keys: &'a [Key], intent: Intent) -> BoxFuture<'a, Result<Vec<Loaded>>> {
        Box::pin(async move {
            self.refuse_if_altered(LOAD)?;
            if keys.is_empty() {
                return Ok(Vec::new());
            }
            refuse_above(LOAD, keys.len(), KEY_COUNT_MAX)?;
            let (reply, answer) = oneshot::channel();
            let looks = keys.iter().map(|key| self.look(key, intent.fill)).collect::<Result<_>>()?;
            let request = self.request(intent, Asked::Many(looks, reply));
            self.shared.requests.push(LOAD, request)?;
            answer.await.unwrap_or_else(|_| Err(closed(LOAD)))
        })
    }
}

impl Writer for SqliteTable {
    fn prepare<'a>(&'a self, writes: &'a [Write]) -> BoxFuture<'a, Result<Box<dyn Prepared>>> {
        Box::pin(async move {
            self.refuse_if_altered(WRITE)?;
            refuse_above(WRITE, writes.len(), WRITE_COUNT_MAX)?;
            let (reply, answer) = oneshot::channel();
            let job = Job::Prepare {
                plan: Arc::clone(&self.plan),
                steps: writes.iter().map(|write| self.plan.step(write)).collect::<Result<_>>()?,
                reply,
            };
            self.shared.jobs.push(WRITE, job)?;
            let prepared = answer.await.unwrap_or_else(|_| Err(closed(WRITE)))?;
            Ok(Box::new(prepared) as Box<dyn Prepared>)
        })
    }
}

fn refuse_above(operation: &'static str, count: usize, count_max: usize) -> Result<()> {
    if count <= count_max {
        return Ok(());
    }
    let detail = format!("{count} keys at once, at most {count_max} are taken");
    Err(Error::new(ErrorKind::TooLarge, operation, detail))
}
