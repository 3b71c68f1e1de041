// SPDX-License-Identifier: MIT OR Apache-2.0
//! The marks of one write, in every resource that shows the row.

use std::sync::Arc;

use futures_util::FutureExt as _;
use throughline_core::{BoxFuture, Cache, Entry, Error, ErrorKind, Fill, Key, Level, Mark, Record, Result};

use crate::space::Space;

/// The marks of a write between the row's lock and the commit's outcome. Dropped, they are taken away.
pub(crate) struct HeldMarks {
    held: Vec<HeldMark>,
}

struct HeldMark {
    space: Arc<Space>,
    cache: Arc<dyn Cache>,
    key: Key,
    /// `None` when it was not confirmed and the resource goes on without.
    mark: Option<Mark>,
}

impl HeldMarks {
    /// Marks `key` in `space` and in every other resource over the same table.
    ///
    /// # Errors
    /// [`ErrorKind::Unmarkable`] when a strict resource's mark was not confirmed. The caller must roll back:
    /// somebody could still read the old value from the cache after the commit.
    pub(crate) async fn place(space: &Arc<Space>, key: &Key) -> Result<Self> {
        let mut marks = Self { held: Vec::new() };
        for space in std::iter::once(space.clone()).chain(space.siblings()) {
            let Some(cache) = space.parts.cache.clone() else {
                continue;
            };
            let answer = cache.mark(&[space.slot(key)]).await.pop();
            let mark = match answer {
                Some(Ok(mark)) => Some(mark),
                Some(Err(error)) if space.policy().level == Level::Strict => {
                    space.stats.writes_unmarkable.add(1);
                    return Err(unmarkable(&space, &error).with_cause(error));
                }
                _ => None,
            };
            marks.held.push(HeldMark { space, cache, key: key.clone(), mark });
        }
        Ok(marks)
    }

    /// After the commit: replaces the mark of the resource that wrote by what was written, takes those of
    /// the others away (their records look different), and sees to what was not confirmed. Never waits.
    pub(crate) fn publish(mut self, record: Option<&Record>) {
        for (place, mut held) in self.held.drain(..).enumerate() {
            let Some(mark) = held.mark.take() else {
                held.space.owed.add(&held.space, held.key.clone());
                continue;
            };
            let fits = |record: &&Record| crate::read::fits(&held.space, record);
            match record.filter(fits) {
                Some(record) if place == 0 && mark.token.is_some() => held.publish(mark, record.clone()),
                _ => held.cache.unmark(mark),
            }
        }
    }

    /// Leaves the marks to expire: whether the write took place is not known, and until then readers ask the source.
    pub(crate) fn leave(mut self) {
        for mut held in self.held.drain(..) {
            if held.mark.take().is_none() {
                held.space.owed.add(&held.space, held.key.clone());
            }
        }
    }
}

impl HeldMark {
    fn publish(&self, mark: Mark, record: Record) {
        let entry = Entry { record: Some(record), fingerprint: self.space.parts.fingerprint };
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
        if let Some(mark) = self.mark.take() {
            self.cache.unmark(mark);
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
