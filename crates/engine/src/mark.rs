// SPDX-License-Identifier: MIT OR Apache-2.0
//! The marks of one write, in every resource that shows the row.

use std::sync::Arc;

use futures_util::FutureExt as _;
use throughline_core::{BoxFuture, Cache, Error, ErrorKind, Fill, Key, Level, Mark, Record, Result};

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
    /// Whether it is in the resource that wrote, whose record is known.
    is_writers: bool,
    state: State,
}

enum State {
    /// It is in the cache.
    Confirmed(Mark),
    /// It may not be, and the resource goes on without.
    Unconfirmed,
    /// It is published, or left to expire.
    Settled,
}

impl HeldMarks {
    /// Marks `key` in `space` and in every other resource over the same table.
    ///
    /// # Errors
    /// [`ErrorKind::Unmarkable`] when a strict resource's mark was not confirmed. The caller must roll back:
    /// somebody could still read the old value from the cache after the commit.
    pub(crate) async fn place(space: &Arc<Space>, key: &Key) -> Result<Self> {
        let mut marks = Self { held: Vec::new() };
        let writer = space;
        for space in std::iter::once(writer.clone()).chain(writer.siblings()) {
            let is_writers = Arc::ptr_eq(&space, writer);
            let Some(cache) = space.parts.cache.clone() else {
                continue;
            };
            let answer = cache.mark(&[space.slot(key)]).await.pop();
            let state = match answer {
                Some(Ok(mark)) => State::Confirmed(mark),
                Some(Err(error)) if space.policy().level == Level::Strict => {
                    space.stats.writes_unmarkable.add(1);
                    return Err(unmarkable(&space, &error).with_cause(error));
                }
                _ => State::Unconfirmed,
            };
            marks.held.push(HeldMark { space, cache, key: key.clone(), is_writers, state });
        }
        Ok(marks)
    }

    /// After the commit: replaces the mark of the resource that wrote by what was written, takes those of
    /// the others away (their records look different), and sees to what was not confirmed. Never waits.
    pub(crate) fn publish(mut self, record: Option<&Record>) {
        // Dropping the others takes their marks away; the resource that wrote may have no cache.
        let Some(held) = self.held.iter_mut().find(|held| held.is_writers) else { return };
        let fits = |record: &&Record| crate::read::fits(&held.space, record);
        if let Some(record) = record.filter(fits)
            && let Some(mark) = held.take_mark(|mark| mark.token.is_some())
        {
            held.publish(mark, record.clone());
        }
    }

    /// Leaves the marks to expire: whether the write took place is not known, and until then readers ask the source.
    pub(crate) fn leave(mut self) {
        for held in &mut self.held {
            drop(held.take_mark(|_| true));
        }
    }
}

impl HeldMark {
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
            State::Unconfirmed => self.space.owed.add(&self.space, self.key.clone()),
            State::Settled => {}
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
