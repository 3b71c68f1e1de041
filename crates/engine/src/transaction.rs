// SPDX-License-Identifier: MIT OR Apache-2.0
//! Several writes that become visible together, in the source and in the caches.
//!
//! 1. Statements run at the source, on one connection. Reads come from there, too: never from a cache, which does not
//!    know what this transaction wrote, and never into one, because what it sees may be rolled back.
//! 2. At the commit the source takes the locks that are missing. Then no reader can fill any touched row any more.
//! 3. Every touched key is marked in every resource that shows its row, all at once, confirmed: `HeldMarks`, as for a
//!    single write. More than [`KEY_COUNT_MAX`] rows: all entries of the resources are made unreachable instead.
//! 4. COMMIT, then acknowledge; what was read back under the locks is published, the other marks are taken away.
//!
//! A reader may still see one row before the commit and the other after it, as without a cache; but after the commit it never
//! sees one of them old: all marks were there before.

mod changes;
mod drop;
mod stats;

use std::sync::Arc;

use futures_util::future::join_all;
use throughline_core::{
    self as core, Access, Effect, Error, ErrorKind, Executed, Hold, Key, Member, Parameter, Prepared, Record,
    Result, Retry, Transactions, Write, WriteStrategy,
};

use self::changes::Changes;
pub use self::stats::TransactionStats;
use crate::mark::{HeldMarks, Manner, Unplaced};
use crate::space::Space;

/// Rows that one transaction marks one by one; beyond it whole resources are dropped. PostgreSQL's table of locks is shared
/// by all sessions and holds some thousands.
pub const KEY_COUNT_MAX: usize = 256;

/// Rows that one transaction may write or touch at all.
const ROW_COUNT_MAX: u64 = 10_000;

/// A source that has transactions, with its resources.
#[derive(Debug)]
pub struct TransactionSource {
    name: String,
    transactions: Arc<dyn Transactions>,
    members: Vec<(Arc<Space>, Member)>,
    stats: Arc<TransactionStats>,
}

impl TransactionSource {
    /// The source `name` (as it is configured), each of its resources with its number there.
    pub fn new(
        name: impl Into<String>,
        transactions: Arc<dyn Transactions>,
        members: Vec<(Arc<Space>, Member)>,
    ) -> Self {
        Self { name: name.into(), transactions, members, stats: Arc::default() }
    }

    /// The source's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether `space` is one of its resources.
    pub fn has(&self, space: &Arc<Space>) -> bool {
        self.members.iter().any(|(member, _)| Arc::ptr_eq(member, space))
    }

    /// The counters, to be kept beside it.
    pub fn stats(&self) -> Arc<TransactionStats> {
        self.stats.clone()
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// Those of [`Transactions::begin`].
    pub async fn begin(self: &Arc<Self>) -> Result<Transaction> {
        let at_source = self.transactions.begin().await?;
        self.stats.begun.add(1);
        Ok(Transaction { source: self.clone(), at_source: Some(at_source), changes: Changes::default() })
    }

    fn member(&self, space: &Arc<Space>) -> Result<Member> {
        if space.policy().write == WriteStrategy::WriteBehind {
            let detail = format!(
                "resource `{}` is written behind: its writes are not parts of transactions",
                space.name()
            );
            return Err(Error::new(ErrorKind::Configuration, "join a transaction", detail));
        }
        let known = self.members.iter().find(|(member, _)| Arc::ptr_eq(member, space));
        known.map(|(_, member)| *member).ok_or_else(|| {
            let detail = format!(
                "resource `{}` belongs to another source than `{}`: a transaction has one source",
                space.name(),
                self.name
            );
            Error::new(ErrorKind::Configuration, "join a transaction", detail)
        })
    }
}

/// An open transaction over resources of one source. Dropped without [`Transaction::commit`], it rolls back.
///
/// # Cancel safety
/// Dropping the future of any of its calls but the commit's ends it: it is rolled back, and every later call says so.
#[derive(Debug)]
pub struct Transaction {
    source: Arc<TransactionSource>,
    /// Taken out for the time of a call, so that a call whose future is dropped takes the transaction along; what it had
    /// done by then is known to nobody, and no mark could be placed for it.
    at_source: Option<Box<dyn core::Transaction>>,
    changes: Changes,
}

impl Transaction {
    /// Reads a record as this transaction sees it: at the source, its own writes included.
    ///
    /// # Errors
    /// Those of the source, which end the transaction; [`ErrorKind::Configuration`] for a resource of another source.
    pub async fn read(&mut self, space: &Arc<Space>, key: &Key, hold: Hold) -> Result<Option<Record>> {
        let member = self.source.member(space)?;
        space.refuse_if_yielded()?;
        let mut at_source = self.take()?;
        let record = at_source.read(member, key, hold).await?;
        self.at_source = Some(at_source);
        Ok(record)
    }

    /// Writes a record; visible to others with the commit. [`Effect::Refused`] ends nothing.
    ///
    /// # Errors
    /// [`ErrorKind::ReadOnly`]; as [`Transaction::read`].
    pub async fn write(&mut self, space: &Arc<Space>, write: &Write) -> Result<Effect> {
        let member = self.source.member(space)?;
        if space.policy().access == Access::Read {
            return Err(space.read_only());
        }
        space.refuse_if_yielded()?;
        let mut at_source = self.take()?;
        let effect = at_source.write(member, write).await?;
        self.changes.note_write(space, &effect);
        self.at_source = Some(at_source);
        Ok(effect)
    }

    /// Runs one statement of the application. Caches hear of the rows that it changes only if they are told:
    /// [`Transaction::touch`].
    ///
    /// # Errors
    /// As [`Transaction::read`].
    pub async fn execute(&mut self, sql: &str, parameters: &[Parameter]) -> Result<Executed> {
        let mut at_source = self.take()?;
        let executed = at_source.execute(sql, parameters).await?;
        // It may have changed what an earlier write read back.
        self.changes.forget_records();
        self.at_source = Some(at_source);
        Ok(executed)
    }

    /// Says that the application's own SQL changes the row of `key`.
    ///
    /// # Errors
    /// As [`Transaction::read`]; see [`core::Transaction::touch`].
    pub async fn touch(&mut self, space: &Arc<Space>, key: &Key) -> Result<()> {
        let member = self.source.member(space)?;
        space.refuse_if_yielded()?;
        let mut at_source = self.take()?;
        let key = at_source.touch(member, key).await?;
        self.changes.note_touch(space, key);
        self.at_source = Some(at_source);
        Ok(())
    }

    /// Commits: everything becomes visible at once, or nothing does.
    ///
    /// # Errors
    /// [`ErrorKind::Unmarkable`] when a strict resource's cache did not confirm; [`ErrorKind::TooLarge`] for more than
    /// [`KEY_COUNT_MAX`] rows of a resource whose entries cannot be dropped as a whole; [`ErrorKind::OutcomeUnknown`]; those of
    /// the source. Nothing was written, except for the unknown outcome.
    ///
    /// # Cancel safety
    /// Dropped before the COMMIT was sent, nothing is written; afterwards it takes place.
    pub async fn commit(mut self) -> Result<()> {
        let at_source = self.take()?;
        let stats = self.source.stats.clone();
        let outcome = commit(at_source, &self.changes).await;
        match &outcome {
            Ok(()) => stats.committed.add(1),
            Err(error) if error.kind() == ErrorKind::OutcomeUnknown => stats.unknown.add(1),
            Err(error) if error.kind() == ErrorKind::Unmarkable => stats.unmarkable.add(1),
            Err(_) => stats.failed.add(1),
        }
        if outcome.is_ok() {
            stats.rows.add(self.changes.row_count());
        }
        outcome
    }

    /// Rolls back and ends when the locks are released.
    ///
    /// # Errors
    /// Those of the source; nothing is written in any case.
    pub async fn roll_back(mut self) -> Result<()> {
        self.source.stats.rolled_back.add(1);
        let Some(at_source) = self.at_source.take() else { return Ok(()) };
        match at_source.prepare().await {
            Ok(prepared) => prepared.roll_back().await,
            // It was rolled back already.
            Err(_) => Ok(()),
        }
    }

    fn take(&mut self) -> Result<Box<dyn core::Transaction>> {
        if self.changes.row_count() > ROW_COUNT_MAX {
            self.at_source = None;
            let detail =
                format!("the transaction changes more than {ROW_COUNT_MAX} rows: change fewer at a time");
            return Err(Error::new(ErrorKind::TooLarge, "go on with a transaction", detail));
        }
        self.at_source.take().ok_or_else(|| {
            let detail =
                "an earlier call failed or was given up, and the transaction was rolled back: begin again";
            Error::new(ErrorKind::Other, "go on with a transaction", detail).with_retry(Retry::Safe)
        })
    }
}

async fn commit(at_source: Box<dyn core::Transaction>, changes: &Changes) -> Result<()> {
    let prepared = at_source.prepare().await?;
    let why = match announce(changes).await {
        Ok(marks) => return finish(prepared, marks, changes).await,
        Err(why) => why,
    };
    prepared.roll_back().await?;
    Err(match why {
        Unplaced::Failed(error) => error,
        Unplaced::Blocked(blocked) => {
            // The application's statements cannot be repeated here, but when it repeats them the way is clear.
            let fence = &blocked.fence;
            fence.unblock(&blocked, fence.deadline()).await?;
            let detail = format!(
                "a cache server did not confirm ({}), so the transaction was rolled back; it is fenced now: begin again",
                blocked.error.detail()
            );
            Error::new(ErrorKind::Unmarkable, "commit a transaction", detail).with_cause(blocked.error)
        }
    })
}

/// Tells the caches what is about to change.
async fn announce(changes: &Changes) -> std::result::Result<HeldMarks, Unplaced> {
    if !changes.is_too_many() {
        return HeldMarks::place(&changes.targets(), Manner::Mark).await;
    }
    let spaces: Vec<_> = changes.spaces().into_iter().collect();
    // At the same time: the source does not hold the locks for long.
    for dropped in join_all(spaces.iter().map(|space| space.drop_for_transaction())).await {
        dropped.map_err(Unplaced::Failed)?;
    }
    HeldMarks::place(&[], Manner::Mark).await
}

async fn finish(prepared: Box<dyn Prepared>, marks: HeldMarks, changes: &Changes) -> Result<()> {
    match prepared.commit().await {
        Ok(()) => {
            marks.publish(|space, key| changes.record(space, key));
            changes.count_writes();
            Ok(())
        }
        Err(error) => {
            if error.kind() == ErrorKind::OutcomeUnknown {
                marks.leave();
            }
            Err(error)
        }
    }
}
