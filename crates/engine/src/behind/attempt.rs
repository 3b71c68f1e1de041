// SPDX-License-Identifier: MIT OR Apache-2.0
//! Batches that were given to the source, and may be under way there.
//!
//! A source that keeps a watermark knows what it was given. One that keeps none (HTTP) may still be at a request that was
//! given up, and would finish it after a later write of the same key if that one took its place. So a batch without an answer is
//! given again as it was until there is one; and so that a crash forgets nothing, what is about to be given is noted first,
//! durably, with the place before which everything is settled.

use throughline_core::{Lane, Position, Result, Tick};

use super::lane::{Chosen, LaneState};
use super::record::LetterRecord;
use super::{Behind, LaneCell};

/// A batch of which nobody knows whether it was applied.
#[derive(Clone, Debug)]
pub(super) struct Unanswered {
    pub(super) chosen: Chosen,
    /// When it was first given to the source, as far as this process knows.
    pub(super) since: Tick,
}

/// What was last noted of a lane.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noted {
    pub(super) first: Position,
    pub(super) to: Position,
    /// Its place in the journal of dead letters.
    pub(super) kept_at: Position,
}

impl Noted {
    /// Whether this write was settled before the batch, or with it: then `is_over`.
    pub(super) fn has_settled(&self, position: Position, is_over: bool) -> bool {
        position < self.first || is_over && position <= self.to
    }
}

impl Behind {
    /// Notes what the source is about to be given, if it keeps no watermark.
    ///
    /// # Errors
    /// Those of the journal; then it must not be given.
    pub(super) async fn note_attempt(&self, cell: &LaneCell, chosen: &Chosen) -> Result<()> {
        let noted = cell.state.lock().noted;
        let is_noted = noted.is_some_and(|noted| (noted.first, noted.to) == (chosen.first, chosen.to));
        if chosen.from.is_kept() || is_noted {
            return Ok(());
        }
        self.note(cell, chosen.first, chosen.to).await
    }

    /// Notes that nothing is under way any more, because the last of a batch is a dead letter: those whose place it had taken are
    /// pending again. To be called when the letter is kept.
    pub(super) async fn note_end(&self, cell: &LaneCell, position: Position) -> Result<()> {
        let noted = cell.state.lock().noted.filter(|noted| noted.to == position);
        match noted {
            Some(Noted { first, .. }) => self.note(cell, first, Position(first.0.saturating_sub(1))).await,
            None => Ok(()),
        }
    }

    async fn note(&self, cell: &LaneCell, first: Position, to: Position) -> Result<()> {
        let Lane { resource, number } = &cell.lane;
        let resource = resource.as_str().to_owned();
        let record = LetterRecord::Attempted { resource, lane: *number, first, to };
        let kept_at = self.parts.letters.append(record.encode()).await?;
        let earlier = cell.state.lock().noted.replace(Noted { first, to, kept_at });
        self.parts.letters.confirm(&earlier.map(|noted| noted.kept_at).into_iter().collect::<Vec<_>>());
        Ok(())
    }

    /// Forgets what was noted. To be called when nothing is pending.
    pub(super) fn forget_attempts(&self) {
        let noted = self.lanes.iter().filter_map(|cell| cell.state.lock().noted.take());
        self.parts.letters.confirm(&noted.map(|noted| noted.kept_at).collect::<Vec<_>>());
    }
}

impl LaneState {
    /// Takes up what an earlier process gave to the source last; to be called when what is pending was taken in.
    pub(super) fn resume(&mut self, now: Tick) {
        let Some(Noted { first, to, .. }) = self.noted.filter(|noted| noted.first <= noted.to) else {
            return;
        };
        if self.find(to).is_some() {
            let chosen = self.chosen_before(to).filter(|chosen| chosen.first >= first);
            self.unanswered = chosen.map(|chosen| Unanswered { chosen, since: now });
        }
    }
}
