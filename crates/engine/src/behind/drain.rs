// SPDX-License-Identifier: MIT OR Apache-2.0
//! Applies what is pending in a lane, batch by batch, oldest first.
//!
//! What can pass by itself (the source is gone, too slow, a deadlock) is tried again after a pause that doubles. A write
//! that the source will never take becomes a dead letter at once: where the source does not say which one it is, smaller
//! batches find it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use throughline_core::{
    Applied, DrainBatch, Drained, Error, ErrorKind, Key, Owner, Position, Retry, Undrained, Watermark,
};

use super::attempt::Unanswered;
use super::lane::{Chosen, Due, Pending};
use super::progress::{Progress, Trouble};
use super::{Behind, LaneCell};

/// How often it is tried to drop entries that differ from their rows, and to confirm what is applied, in milliseconds.
const TIDYING_PAUSE_MS: u64 = 500;

impl Behind {
    /// Starts to drain every lane, until the last user of this is gone.
    pub fn start(self: &Arc<Self>) {
        for cell in &self.lanes {
            let serving = serve(Arc::downgrade(self), cell.clone());
            self.parts.tasks.spawn("drain a lane of accepted writes", Box::pin(serving));
        }
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        self.lanes.iter().for_each(|cell| cell.due.notify_one());
    }
}

async fn serve(behind: Weak<Behind>, cell: Arc<LaneCell>) {
    loop {
        let due = {
            let Some(behind) = behind.upgrade() else { return };
            if cell.state.lock().lost.is_some() {
                return;
            }
            behind.due(&cell)
        };
        match due {
            Due::Now => {
                let Some(serving) = behind.upgrade() else { return };
                let pause_ms = serving.turn(&cell).await;
                drop(serving);
                if let Some(ms) = pause_ms {
                    pause(&behind, &cell, Duration::from_millis(ms)).await;
                }
            }
            Due::In(ms) => {
                if let Some(behind) = behind.upgrade() {
                    behind.tidy_up(&cell).await;
                }
                let _ = tokio::time::timeout(Duration::from_millis(ms), cell.due.notified()).await;
            }
            Due::Nothing => cell.due.notified().await,
        }
    }
}

/// Waits so long, or until somebody asks for what is pending, or nobody is there any more.
async fn pause(behind: &Weak<Behind>, cell: &LaneCell, length: Duration) {
    let over = tokio::time::sleep(length);
    tokio::pin!(over);
    loop {
        tokio::select! {
            () = &mut over => return,
            () = cell.due.notified() => {
                if cell.state.lock().take_hurry() || behind.strong_count() == 0 {
                    return;
                }
            }
        }
    }
}

impl Behind {
    /// When the lane has something to do.
    fn due(&self, cell: &LaneCell) -> Due {
        let mut state = cell.state.lock();
        let policy = &self.parts.policy;
        if state.len() == 0 {
            state.trouble = None;
        }
        match state.is_due(policy.delay_ms, policy.count_max, self.parts.wall.now()) {
            // What is due may still be on its way into the journal; then its arrival wakes the lane.
            Due::Now if !state.is_ready() => Due::Nothing,
            Due::Nothing | Due::In(_) if state.has_work_left() => Due::In(TIDYING_PAUSE_MS),
            due => due,
        }
    }

    /// Applies one batch; how long to pause before the next.
    async fn turn(self: &Arc<Self>, cell: &LaneCell) -> Option<u64> {
        let (chosen, unanswered_since) = {
            let mut state = cell.state.lock();
            state.take_hurry();
            // What may have been applied is given again as it was: a later write must not overtake it.
            match state.unanswered.clone() {
                Some(Unanswered { chosen, since }) => (chosen, Some(since)),
                None => (state.choose(self.parts.policy.coalesce)?, None),
            }
        };
        let permit = self.permits.acquire().await.ok()?;
        if let Err(error) = self.note_attempt(cell, &chosen).await {
            return Some(self.pause(cell, &error));
        }
        let began = self.parts.clock.now();
        let outcome = {
            let (lane, owner) = (&cell.lane, &self.parts.owner);
            let Chosen { from, to, writes, .. } = &chosen;
            let unanswered_ms = unanswered_since.map(|since| began.ms_since(since));
            let batch = DrainBatch { lane, owner, from: *from, to: *to, writes, unanswered_ms };
            self.parts.drain.apply(batch).await
        };
        drop(permit);
        self.stats.batches.add(1);
        let since = match &outcome {
            Err(Undrained { error, .. }) if error.kind() == ErrorKind::OutcomeUnknown => {
                unanswered_since.or(Some(began))
            }
            // That it cannot be given now says nothing about the try before.
            Err(Undrained { error, .. }) if !is_for_good(error) => unanswered_since,
            _ => None,
        };
        let _settling = {
            let mut state = cell.state.lock();
            state.unanswered = since.map(|since| Unanswered { chosen: chosen.clone(), since });
            state.begin_settling();
            Settling { behind: self, cell }
        };
        match outcome {
            Ok(Drained::Done(applied)) => {
                let differing = chosen.writes.iter().zip(applied);
                let differing = differing.filter(|(_, applied)| *applied == Applied::Changed);
                let differing = differing.filter_map(|(accepted, _)| accepted.key().cloned()).collect();
                let coalesced = chosen.count - chosen.writes.len();
                self.stats.coalesced.add(coalesced as u64);
                self.settle(cell, Watermark { position: chosen.to, ..chosen.from }, differing).await;
            }
            Ok(Drained::Already(watermark)) => {
                // An earlier try was committed; what the source made of it was not told.
                let past = chosen.writes.iter().filter(|accepted| accepted.position <= watermark.position);
                let differing = past.filter_map(|accepted| accepted.key().cloned()).collect();
                self.settle(cell, watermark, differing).await;
            }
            Ok(Drained::Taken(owner)) => self.lose(cell, &owner),
            Err(undrained) => return self.fail(cell, &chosen, undrained).await,
        }
        self.tidy_up(cell).await;
        None
    }

    /// Notes what a batch has applied.
    async fn settle(&self, cell: &LaneCell, watermark: Watermark, differing: Vec<Key>) {
        let settled = {
            let mut state = cell.state.lock();
            state.trouble = None;
            state.batch_max = (state.batch_max * 2).min(self.parts.batch_max());
            state.settle(watermark, differing)
        };
        let positions: Vec<_> = settled.iter().filter_map(|item| item.position).collect();
        let (mut applied, mut waiters) = (Vec::with_capacity(settled.len()), Vec::new());
        for Pending { key, position, waiters: waiting, .. } in settled {
            applied.extend(position.map(|position| (key, position)));
            waiters.extend(waiting);
        }
        cell.state.lock().confirm_later(applied);
        if let Err(error) = self.confirm_applied(cell).await {
            tracing::error!(lane = %cell.lane, %error, "the journal of dead letters cannot be written");
        }
        self.stats.applied.add(positions.len() as u64);
        let mut ends = self.settled.lock();
        positions.iter().for_each(|position| ends.note(*position, Progress::Applied));
        drop(ends);
        waiters.into_iter().for_each(|waiter| drop(waiter.send(None)));
        self.note_change();
    }

    /// A batch was not applied; how long to pause.
    async fn fail(self: &Arc<Self>, cell: &LaneCell, chosen: &Chosen, undrained: Undrained) -> Option<u64> {
        let Undrained { at, error } = undrained;
        self.stats.failures.add(1);
        if !is_for_good(&error) {
            return Some(self.pause(cell, &error));
        }
        let blamed = match at {
            Some(place) => chosen.writes.get(place),
            None if chosen.writes.len() == 1 => chosen.writes.first(),
            None => None,
        };
        match blamed {
            Some(accepted) => match self.bury(cell, accepted.position, &error).await {
                Ok(()) => None,
                // It stays where it is, and nothing is lost: the next try finds it again.
                Err(error) => Some(self.pause(cell, &error)),
            },
            None if chosen.writes.len() > 1 => {
                cell.state.lock().batch_max = (chosen.writes.len() / 2).max(1);
                None
            }
            // A batch without writes spoils nothing by a write.
            None => Some(self.pause(cell, &error)),
        }
    }

    /// Notes why the lane does not get on; how long to wait.
    fn pause(&self, cell: &LaneCell, error: &Error) -> u64 {
        let (first, last) = self.parts.policy.pause_ms;
        let mut state = cell.state.lock();
        let attempts = state.trouble.as_ref().map_or(0, |trouble| trouble.attempts) + 1;
        let doubled = first.saturating_mul(1 << (attempts - 1).min(32)).min(last).max(1);
        let chosen = doubled - self.parts.rng.below(doubled / 2 + 1);
        // A source that says when to come back is not asked before, unless somebody insists.
        let pause_ms = error.retry_after_ms().map_or(chosen, |asked| asked.clamp(chosen, last.max(chosen)));
        let next = self.parts.clock.now().after_ms(pause_ms);
        if attempts == 1 {
            tracing::warn!(lane = %cell.lane, %error, "accepted writes cannot be applied now, and are tried again");
        }
        state.trouble = Some(Trouble { why: error.to_string(), attempts, next });
        self.stats.retries.add(1);
        pause_ms
    }

    /// Somebody else owns the lane: nothing more is accepted or applied here.
    fn lose(&self, cell: &LaneCell, owner: &Owner) {
        tracing::error!(lane = %cell.lane, owner = %owner.name, "another daemon owns the lane now; what is pending here is not applied");
        let waiters = {
            let mut state = cell.state.lock();
            state.lost = Some(owner.clone());
            state.take_waiters()
        };
        waiters.into_iter().for_each(|waiter| drop(waiter.send(Some(self.lost(owner)))));
        cell.free.notify_waiters();
        self.note_change();
    }

    /// Does what is left to do about writes that are applied.
    async fn tidy_up(&self, cell: &LaneCell) {
        cell.state.lock().begin_settling();
        let _settling = Settling { behind: self, cell };
        // A failure was said when it came first.
        let _ = self.confirm_applied(cell).await;
        self.drop_differing(cell).await;
    }

    /// Confirms to the journal what is applied, once it is noted which dead letters are older.
    ///
    /// # Errors
    /// Those of the journal of dead letters; then it is left for the next time.
    pub(super) async fn confirm_applied(&self, cell: &LaneCell) -> throughline_core::Result<()> {
        let taken = cell.state.lock().take_unconfirmed();
        if taken.is_empty() {
            return Ok(());
        }
        let applied: Vec<_> = taken.iter().map(|(key, position)| (key, *position)).collect();
        if let Err(error) = self.outlive(&applied).await {
            cell.state.lock().confirm_later(taken);
            return Err(error);
        }
        let positions: Vec<_> = taken.iter().map(|(_, position)| *position).collect();
        self.parts.journal.confirm(&positions);
        Ok(())
    }

    /// Drops the entries that must go, and shows the source from then on; those that cannot be dropped now are tried again.
    pub(super) async fn drop_differing(&self, cell: &LaneCell) {
        loop {
            // Nobody fills what is to be dropped.
            let taken = cell.state.lock().take_differing(DROPPED_MAX);
            if taken.is_empty() {
                return;
            }
            let keys: Vec<Key> = taken.iter().map(|(key, _)| key.clone()).collect();
            let given_back = GivenBack { behind: self, cell, taken };
            if !given_back.settle(&self.invalidate_entries(&keys).await) {
                return;
            }
        }
    }
}

impl Behind {
    /// Drops the entries of keys that nobody may fill meanwhile; answers in their order.
    pub(super) async fn invalidate_entries(&self, keys: &[Key]) -> Vec<throughline_core::Result<()>> {
        match self.space.get().and_then(Weak::upgrade) {
            Some(space) => space.invalidate_entries(keys).await,
            None => keys.iter().map(|_| Ok(())).collect(),
        }
    }
}

/// Ends, when dropped, what `begin_settling` began: until then nobody takes the lane for done.
struct Settling<'a> {
    behind: &'a Behind,
    cell: &'a LaneCell,
}

impl Drop for Settling<'_> {
    fn drop(&mut self) {
        self.cell.state.lock().end_settling();
        self.behind.note_change();
    }
}

/// How many entries are dropped in one go.
const DROPPED_MAX: usize = 500;

/// Keys that were taken to drop their entries. Dropped, it gives them back, and their entries must still go.
struct GivenBack<'a> {
    behind: &'a Behind,
    cell: &'a LaneCell,
    taken: Vec<(Key, Position)>,
}

impl GivenBack<'_> {
    /// Shows the source where an entry is gone; whether all are.
    fn settle(mut self, answers: &[throughline_core::Result<()>]) -> bool {
        let taken = std::mem::take(&mut self.taken);
        let mut state = self.cell.state.lock();
        for ((key, position), answer) in taken.into_iter().zip(answers) {
            match answer {
                Ok(()) => {
                    state.hide(&key, position);
                    state.give_key(&key);
                }
                Err(_) => self.taken.push((key, position)),
            }
        }
        self.taken.is_empty()
    }
}

impl Drop for GivenBack<'_> {
    fn drop(&mut self) {
        let mut state = self.cell.state.lock();
        for (key, position) in self.taken.drain(..) {
            state.give_key(&key);
            state.differ(key, position);
        }
        drop(state);
        self.cell.free.notify_waiters();
        self.behind.note_change();
    }
}

/// Whether the same write will fail in the same way for ever. A missing right or table is none of the write's faults: it
/// passes when somebody grants it, and until then nothing is put aside.
fn is_for_good(error: &Error) -> bool {
    error.retry() == Retry::Never && error.kind().is_of_the_write()
}
