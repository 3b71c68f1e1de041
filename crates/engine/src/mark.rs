// SPDX-License-Identifier: MIT OR Apache-2.0
//! The marks of one write or transaction, in every resource that shows the rows.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use throughline_core::{BoxFuture, Cache, Error, ErrorKind, Fill, Key, Level, Mark, Record, Result};

use crate::owed::Owing;
use crate::space::Space;

/// The marks of a write between the row's lock and the commit's outcome. Dropped, they are taken away, and
/// those that were not confirmed are owed: a caller may leave while the commit takes place.
pub(crate) struct HeldMarks {
    held: Vec<HeldMark>,
}

struct HeldMark {
    space: Arc<Space>,
    cache: Arc<dyn Cache>,
    key: Key,
    state: State,
}

enum State {
    /// It is in the cache.
    Confirmed(Mark),
    /// It may not be, and the resource goes on without.
    Unconfirmed(Owing),
    /// It is published, or left to expire, or was never tried.
    Settled,
}

impl HeldMarks {
    /// Marks each row's key in the resource that changed it and in every other over the same table, all at once. The
    /// caller holds the rows' locks.
    ///
    /// # Errors
    /// [`ErrorKind::Unmarkable`] when a strict resource's mark was not confirmed. The caller must roll back:
    /// somebody could still read the old value from the cache after the commit.
    pub(crate) async fn place(rows: &[(Arc<Space>, Key)]) -> Result<Self> {
        let mut marks = Self { held: targets(rows) };
        // Each cache sends what it is asked in one go, so this is one round trip.
        let attempts = join_all(marks.held.iter().map(HeldMark::attempt)).await;
        let mut unplaced = None;
        for (held, attempt) in marks.held.iter_mut().zip(attempts) {
            // Every answer is looked at, so that each mark that was placed is also taken away.
            if let Err(error) = held.settle(attempt) {
                unplaced.get_or_insert(error);
            }
        }
        if let Some(error) = unplaced {
            return Err(error);
        }
        marks.keep_owed().await?;
        Ok(marks)
    }

    /// Waits until what was not confirmed would survive a crash between the commit and its confirmation.
    async fn keep_owed(&self) -> Result<()> {
        let owing = self.held.iter().filter_map(|held| match &held.state {
            State::Unconfirmed(owing) => Some(owing.keep()),
            State::Confirmed(_) | State::Settled => None,
        });
        // One sync for all of them.
        join_all(owing).await.into_iter().collect()
    }

    /// After the commit: replaces the marks whose records are known by what was written, takes the others away,
    /// and sees to what was not confirmed. Never waits.
    pub(crate) fn publish<'r>(mut self, record: impl Fn(&Arc<Space>, &Key) -> Option<&'r Record>) {
        // Dropping the others takes their marks away.
        for held in &mut self.held {
            let fits = |record: &&Record| crate::read::fits(&held.space, record);
            if let Some(record) = record(&held.space, &held.key).filter(fits)
                && let Some(mark) = held.take_mark(|mark| mark.token.is_some())
            {
                held.publish(mark, record.clone());
            }
        }
    }

    /// Leaves the marks to expire: whether the write took place is not known, and until then readers ask the source.
    pub(crate) fn leave(mut self) {
        for held in &mut self.held {
            drop(held.take_mark(|_| true));
        }
    }
}

/// Where rows have to be marked: each place once.
fn targets(rows: &[(Arc<Space>, Key)]) -> Vec<HeldMark> {
    let mut places: HashSet<(*const Space, &Key)> = HashSet::new();
    let mut held = Vec::with_capacity(rows.len());
    for (space, key) in rows {
        for space in std::iter::once(space.clone()).chain(space.siblings()) {
            let Some(cache) = space.parts.cache.clone() else { continue };
            if places.insert((Arc::as_ptr(&space), key)) {
                held.push(HeldMark { space, cache, key: key.clone(), state: State::Settled });
            }
        }
    }
    held
}

impl HeldMark {
    async fn attempt(&self) -> Option<Result<Mark>> {
        self.cache.mark(&[self.space.slot(&self.key)]).await.pop()
    }

    fn settle(&mut self, attempt: Option<Result<Mark>>) -> Result<()> {
        self.state = match attempt {
            Some(Ok(mark)) => State::Confirmed(mark),
            Some(Err(error)) if self.space.policy().level == Level::Strict => {
                self.space.stats.writes_unmarkable.add(1);
                return Err(unmarkable(&self.space, &error).with_cause(error));
            }
            _ => State::Unconfirmed(Owing::new(&self.space, &self.key)),
        };
        Ok(())
    }

    /// The mark, if it was confirmed and is as wanted; then it is settled.
    fn take_mark(&mut self, wanted: impl Fn(&Mark) -> bool) -> Option<Mark> {
        match std::mem::replace(&mut self.state, State::Settled) {
            State::Confirmed(mark) if wanted(&mark) => Some(mark),
            other => {
                self.state = other;
                None
            }
        }
    }

    fn publish(&self, mark: Mark, record: Record) {
        let entry = self.space.entry(Some(record));
        let ttl_ms = self.space.ttl_ms(false);
        let mut outcome: BoxFuture<'static, Result<Fill>> = self.cache.publish(mark, entry, ttl_ms);
        match (&mut outcome).now_or_never() {
            Some(outcome) => self.space.count_publish(&outcome),
            None => self.space.count_later(outcome, Space::count_publish),
        }
    }
}

impl Drop for HeldMark {
    fn drop(&mut self) {
        match std::mem::replace(&mut self.state, State::Settled) {
            State::Confirmed(mark) => self.cache.unmark(mark),
            // Dropping what is owed sees to it.
            State::Unconfirmed(_) | State::Settled => {}
        }
    }
}

fn unmarkable(space: &Space, error: &Error) -> Error {
    let detail = format!(
        "the cache of resource `{}` did not confirm ({}), so the write was rolled back; a strict write needs its cache: \
         repair it, or set `level = \"bounded\"`",
        space.name(),
        error.detail()
    );
    Error::new(ErrorKind::Unmarkable, "mark a key", detail)
}
