// SPDX-License-Identifier: MIT OR Apache-2.0
//! One table as a resource: what the engine sees of it.

use std::slice;
use std::sync::Arc;

use throughline_core::{
    BoxFuture, Canonical, Drain, Fingerprint, Intent, Key, Loaded, Loader, Member, Prepared, Result, Write,
    Writer,
};

use super::Shared;
use super::plan::Plan;
use crate::remote::drain::RemoteDrain;
use crate::remote::{LookUp, Order, check_count};

const LOAD: &str = "load a row";
const WRITE: &str = "write a row";
/// What [`Loader::load_many`] takes at a time.
const KEY_COUNT_MAX: usize = 1_000;
/// What [`Writer::prepare`] takes at a time.
const WRITE_COUNT_MAX: usize = 256;

/// A table of a MySQL or MariaDB server as a resource.
#[derive(Debug)]
pub struct MysqlTable {
    pub(super) shared: Arc<Shared>,
    pub(super) plan: Arc<Plan>,
    pub(super) member: Member,
}

impl MysqlTable {
    /// What the bytes of a record mean: the database's and table's names, the columns with their types, the format.
    pub fn fingerprint(&self) -> Fingerprint {
        let database = &self.shared.server.config().database;
        self.plan.mapping.fingerprint(&format!("mysql/{database}"))
    }

    /// The number by which transactions name it.
    pub fn member(&self) -> Member {
        self.member
    }

    /// Why the resource cannot be strict, if it cannot, as far as is known: the table's engine has no row
    /// locks (then writes are refused, too), or the server denied the account a look-up with a lock, which
    /// shows at the first fill (then nothing is fillable any more).
    pub fn strict_obstacle(&self) -> Option<String> {
        let denied = || {
            (!self.plan.can_probe()).then(|| {
                "the account may not read with a lock: GRANT it UPDATE (or LOCK TABLES) on the table"
                    .to_owned()
            })
        };
        let replica = || {
            self.shared.is_read_only.then(|| {
                "the server is read-only: a replica cannot tell whether a row is being written on the primary".to_owned()
            })
        };
        self.plan.obstacle.clone().or_else(replica).or_else(denied)
    }

    /// What applies accepted writes to it.
    ///
    /// # Errors
    /// [`throughline_core::ErrorKind::Configuration`] when our own tables are missing, with the remedy;
    /// [`throughline_core::ErrorKind::ReadOnly`] for a table that cannot be written safely; those of any statement.
    pub async fn drain(&self) -> Result<Arc<dyn Drain>> {
        self.plan.refuse_obstacle()?;
        let drains = Arc::clone(&self.shared.drains);
        Ok(Arc::new(RemoteDrain::open(drains, Arc::clone(&self.plan)).await?))
    }

    async fn look_up(&self, keys: &[Key], intent: Intent) -> Result<Vec<Loaded>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        check_count(LOAD, keys.len(), KEY_COUNT_MAX)?;
        let keys = keys.iter().map(|key| self.plan.asked(key)).collect::<Result<_>>()?;
        let (plan, fill, sent) = (Arc::clone(&self.plan), intent.fill, intent.sent);
        let look_up = |reply| LookUp { plan, keys, fill, sent, reply };
        self.shared.readers.ask(LOAD, self.shared.server.answer_limit(), || self.late(), look_up).await
    }

    async fn prepare(&self, writes: &[Write]) -> Result<Box<dyn Prepared>> {
        check_count(WRITE, writes.len(), WRITE_COUNT_MAX)?;
        self.plan.refuse_obstacle()?;
        let steps = writes.iter().map(|write| self.plan.step(write)).collect::<Result<_>>()?;
        let order = |reply| Order { plan: Arc::clone(&self.plan), steps, reply };
        let limit = self.shared.server.answer_limit();
        let prepared = self.shared.writers.ask(WRITE, limit, || self.late(), order).await?;
        Ok(Box::new(prepared))
    }

    fn late(&self) -> String {
        format!("table `{}`: no connection became free in time", self.plan.name())
    }
}

impl Loader for MysqlTable {
    fn canonical(&self, key: &Key) -> Result<Canonical> {
        self.plan.mapping.key().read(key).map(|(_, canonical)| canonical)
    }

    fn load<'a>(&'a self, key: &'a Key, intent: Intent) -> BoxFuture<'a, Result<Loaded>> {
        Box::pin(async move {
            let loaded = self.look_up(slice::from_ref(key), intent).await?;
            let loaded = loaded.into_iter().next();
            Ok(loaded.expect("a look-up answers every key that it was given"))
        })
    }

    fn load_many<'a>(&'a self, keys: &'a [Key], intent: Intent) -> BoxFuture<'a, Result<Vec<Loaded>>> {
        Box::pin(self.look_up(keys, intent))
    }
}

impl Writer for MysqlTable {
    fn prepare<'a>(&'a self, writes: &'a [Write]) -> BoxFuture<'a, Result<Box<dyn Prepared>>> {
        Box::pin(MysqlTable::prepare(self, writes))
    }
}
