// SPDX-License-Identifier: MIT OR Apache-2.0
//! One table as a resource: what the engine sees of it.

use std::slice;
use std::sync::Arc;

use throughline_core::{
    BoxFuture, Canonical, Error, ErrorKind, Fingerprint, Intent, Key, Loaded, Loader, Member, Prepared,
    Result, Retry, Write, Writer,
};
use tokio::sync::oneshot;
use tokio::time::timeout;
use uuid::Uuid;

use super::Shared;
use super::plan::Plan;
use super::reader::LookUp;
use super::writer::{Order, Step};
use crate::remote::closed;

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

    async fn look_up(&self, keys: &[Key], intent: Intent) -> Result<Vec<Loaded>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        check_count(LOAD, keys.len(), KEY_COUNT_MAX)?;
        let keys = keys.iter().map(|key| self.plan.asked(key)).collect::<Result<_>>()?;
        let (reply, answer) = oneshot::channel();
        let look_up =
            LookUp { plan: Arc::clone(&self.plan), keys, fill: intent.fill, sent: intent.sent, reply };
        self.shared.readers.give(LOAD, look_up)?;
        self.answer(LOAD, answer).await
    }

    async fn prepare(&self, writes: &[Write]) -> Result<Box<dyn Prepared>> {
        check_count(WRITE, writes.len(), WRITE_COUNT_MAX)?;
        self.plan.refuse_obstacle()?;
        let step = |write| Step::new(&self.plan, write, Uuid::now_v7());
        let steps = writes.iter().map(step).collect::<Result<_>>()?;
        let (reply, answer) = oneshot::channel();
        let order = Order { plan: Arc::clone(&self.plan), steps, reply };
        self.shared.writers.give(WRITE, order)?;
        let prepared = self.answer(WRITE, answer).await?;
        Ok(Box::new(prepared))
    }

    /// Waits for a worker's answer. The worker has time-outs of its own; this one is for a queue that does
    /// not move.
    async fn answer<T>(&self, operation: &'static str, answer: oneshot::Receiver<Result<T>>) -> Result<T> {
        match timeout(self.shared.server.answer_limit(), answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(closed(operation)),
            Err(_) => {
                let detail = format!("table `{}`: no connection became free in time", self.plan.name());
                Err(Error::new(ErrorKind::Timeout, operation, detail).with_retry(Retry::Safe))
            }
        }
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

fn check_count(operation: &'static str, count: usize, max: usize) -> Result<()> {
    if count <= max {
        return Ok(());
    }
    let detail = format!("{count} at once, at most {max} are taken");
    Err(Error::new(ErrorKind::TooLarge, operation, detail))
}
