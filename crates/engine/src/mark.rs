// SPDX-License-Identifier: MIT OR Apache-2.0
//! The marks of one write or transaction, in every resource that shows the rows.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{join, join_all};
use throughline_core::{
    BoxFuture, Cache, ControlView, Error, ErrorKind, Fill, Key, Level, Mark, NodeId, Record, Result,
};

use crate::fence::{Blocked, Fence, Place};
use crate::owed::Owing;
use crate::space::Space;

/// How long to wait before the one repetition of a mark that was not confirmed: a server that is restarted is
/// often back by then. The cache's own deadline (100 ms by default) bounds each attempt.
const RETRY_PAUSE: Duration = Duration::from_millis(25);

/// What a writer does to an entry before it commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Leaves a mark, which the written value may replace.
    Mark,
    /// Empties the slot.
    Invalidate,
}

/// The marks of a write between the row's lock and the commit's outcome. Dropped, they are taken away, and
/// those that were not confirmed are owed: a caller may leave while the commit takes place.
pub(crate) struct HeldMarks {
    held: Vec<HeldMark>,
}

struct HeldMark {
    space: Arc<Space>,
    cache: Arc<dyn Cache>,
    key: Key,
    node: NodeId,
    state: State,
}

enum State {
    /// It is in the cache.
    Confirmed(Mark),
    /// It may not be, and the resource goes on without.
    Unconfirmed(Owing),
    /// It is published, or left to expire, or was never tried; or the slot was emptied, or nobody reads it.
    Settled,
}

/// Why the marks could not be placed. The caller must roll back: somebody could still read the old value from the
/// cache after the commit.
#[derive(Debug)]
pub(crate) enum Unplaced {
    /// A fence has to be started, or waited for; then the write may be tried again.
    Blocked(Blocked),
    /// The write fails.
    Failed(Error),
}

/// What came of one attempt to mark.
enum Attempt {
    Marked(Mark),
    Emptied,
    NotNeeded,
    Failed(Error),
}

type Views = Vec<(Arc<Fence>, Result<Arc<ControlView>>)>;

impl HeldMarks {
    /// Marks each row's key in the resource that changed it and in every other over the same table, all at once. The
    /// caller holds the rows' locks.
    ///
    /// In parallel, as both are one round trip: (a) the rows of the control tables are read, on a connection of their
    /// own and after the locks were granted; (b) every slot is marked where this daemon believes that readers look.
    /// What (a) shows to be wrong in (b) is done again.
    pub(crate) async fn place(
        rows: &[(Arc<Space>, Key)],
        manner: Manner,
    ) -> std::result::Result<Self, Unplaced> {
        let mut marks = Self { held: targets(rows) };
        let guesses: Vec<Place> = marks.held.iter().map(|held| held.space.guess(held.node)).collect();
        // Each cache sends what it is asked in one go, so this is one round trip.
        let attempts =
            join_all(marks.held.iter().zip(&guesses).map(|(held, guess)| held.attempt(*guess, manner)));
        let (attempts, views) = join(attempts, read_views(&marks.held)).await;
        let mut unplaced = None;
        for ((held, guess), attempt) in marks.held.iter_mut().zip(guesses).zip(attempts) {
            // Every answer is looked at, so that each mark that was placed is also taken away.
            if let Err(why) = held.settle(guess, attempt, manner, &views).await {
                unplaced.get_or_insert(why);
            }
        }
        if let Some(why) = unplaced {
            return Err(why);
        }
        marks.keep_owed().await.map_err(Unplaced::Failed)?;
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
                let node = space.node_of(key);
                held.push(HeldMark { space, cache, key: key.clone(), node, state: State::Settled });
            }
        }
    }
    held
}

/// Reads the rows once for each agreement that the targets are under.
async fn read_views(held: &[HeldMark]) -> Views {
    let mut fences: Vec<Arc<Fence>> = Vec::new();
    for fence in held.iter().filter_map(|held| held.space.fence()) {
        if !fences.iter().any(|known| Arc::ptr_eq(known, fence)) {
            fences.push(fence.clone());
        }
    }
    let views = join_all(fences.iter().map(|fence| fence.read())).await;
    fences.into_iter().zip(views).collect()
}

impl HeldMark {
    fn is_strict(&self) -> bool {
        self.space.policy().level == Level::Strict
    }

    /// Marks the slot, or empties it; strict, once more when that is not confirmed.
    async fn attempt(&self, place: Place, manner: Manner) -> Attempt {
        let first = self.attempt_once(place, manner).await;
        if !(self.is_strict() && matches!(first, Attempt::Failed(_))) {
            return first;
        }
        tokio::time::sleep(RETRY_PAUSE).await;
        self.attempt_once(place, manner).await
    }

    async fn attempt_once(&self, place: Place, manner: Manner) -> Attempt {
        let Place::Under(generation, _) = place else { return Attempt::NotNeeded };
        let slot = [self.space.slot_on(self.node, &self.key, generation)];
        match manner {
            Manner::Mark => match self.cache.mark(&slot).await.pop() {
                Some(Ok(mark)) => Attempt::Marked(mark),
                Some(Err(error)) => Attempt::Failed(error),
                None => Attempt::Failed(no_answer()),
            },
            Manner::Invalidate => match self.cache.invalidate(&slot).await.pop() {
                Some(Ok(())) => Attempt::Emptied,
                Some(Err(error)) => Attempt::Failed(error),
                None => Attempt::Failed(no_answer()),
            },
        }
    }

    /// Holds what was attempted at `guess` against the rows, and takes it over if it is where it must be.
    async fn settle(
        &mut self,
        guess: Place,
        mut attempt: Attempt,
        manner: Manner,
        views: &Views,
    ) -> std::result::Result<(), Unplaced> {
        let truth = self.truth(guess, views);
        if let Ok(truth) = truth
            && truth != guess
        {
            // It lies where nobody looks, or on a server that is not the fleet's.
            if let Attempt::Marked(mark) = attempt {
                self.cache.unmark(mark);
            }
            attempt = self.attempt(truth, manner).await;
        }
        match (attempt, truth) {
            (Attempt::Marked(mark), Ok(truth)) => {
                // Invariant 4: confirmed, under the generation that was read after the lock.
                debug_assert!(
                    matches!(truth, Place::Under(generation, _) if generation == mark.slot.route.generation),
                    "a mark is held only where readers look"
                );
                self.state = State::Confirmed(mark);
                Ok(())
            }
            (Attempt::Marked(mark), Err(why)) => {
                self.cache.unmark(mark);
                Err(why)
            }
            (_, Err(why)) => Err(why),
            (Attempt::Emptied | Attempt::NotNeeded, Ok(_)) => Ok(()),
            (Attempt::Failed(error), Ok(_)) if self.is_strict() => Err(self.unplaced(error, views)),
            (Attempt::Failed(_), Ok(_)) => {
                self.state = State::Unconfirmed(Owing::new(&self.space, &self.key));
                Ok(())
            }
        }
    }

    /// Where the mark must be. A bounded resource makes do with what is known when the rows cannot be read.
    fn truth(&self, guess: Place, views: &Views) -> std::result::Result<Place, Unplaced> {
        let Some(fence) = self.space.fence() else { return Ok(guess) };
        match view_of(fence, views) {
            Ok(view) => {
                let row = view.node(fence.name(self.node));
                let is_another = row.is_some_and(|row| row.lineage != view.lineage);
                if is_another && self.is_strict() {
                    // Another database answers than the one that gave the readers' leases.
                    let error =
                        Error::new(ErrorKind::Unmarkable, "mark a key", "the database is another one");
                    return Err(self.unplaced(error, views));
                }
                Ok(self.space.place_in(fence, view, self.node))
            }
            Err(error) if self.is_strict() => Err(Unplaced::Failed(error.clone())),
            Err(_) => Ok(guess),
        }
    }

    /// What must happen before a write whose mark failed is tried again.
    fn unplaced(&self, error: Error, views: &Views) -> Unplaced {
        let fence = self.space.fence();
        let row = fence.and_then(|fence| view_of(fence, views).ok()?.node(fence.name(self.node)));
        match (fence, row) {
            (Some(fence), Some(row)) => {
                let (fence, generation, state) = (fence.clone(), row.generation, row.state);
                Unplaced::Blocked(Blocked { fence, node: self.node, generation, state, error })
            }
            _ => {
                self.space.stats.writes_unmarkable.add(1);
                Unplaced::Failed(unmarkable(&self.space, &error).with_cause(error))
            }
        }
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

fn view_of<'a>(fence: &Arc<Fence>, views: &'a Views) -> std::result::Result<&'a ControlView, &'a Error> {
    let view = views.iter().find(|(known, _)| Arc::ptr_eq(known, fence));
    let view = view.map(|(_, view)| view.as_ref().map(|view| &**view));
    view.expect("the rows of every target's agreement were asked for")
}

fn no_answer() -> Error {
    Error::new(ErrorKind::Unavailable, "mark a key", "the cache gave no answer")
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
