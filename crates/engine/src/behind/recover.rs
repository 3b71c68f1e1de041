// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an earlier process left in the journals.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use parking_lot::Mutex;
use throughline_core::{Claim, Condition, Error, ErrorKind, Key, Lane, Position, Result, Watermark};
use tokio::sync::{Notify, Semaphore, watch};

use super::attempt::Noted;
use super::lane::LaneState;
use super::letter::Letters;
use super::progress::Settled;
use super::record::{self, Kept, LetterRecord};
use super::{Behind, BehindParts, LANE_COUNT, LaneCell, OnConflict};
use crate::stats::BehindStats;

/// What [`Behind::open`] found.
#[derive(Debug)]
pub struct Recovered {
    /// The resource's write-behind side. Nothing is applied before [`Behind::start`].
    pub behind: Arc<Behind>,
    /// Writes that are pending again.
    pub pending_count: usize,
    /// Writes that were applied just before the earlier process ended.
    pub applied_count: usize,
}

impl Behind {
    /// Claims the resource's lanes and takes in what is pending in the journals; records of other resources are passed
    /// over. `next` is where the journal goes on.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] when another daemon owns the resource (the text names it), or when the source has
    /// applied more than this journal has ever held; [`ErrorKind::Corrupt`] for a record that cannot be read; those of
    /// [`throughline_core::Drain::claim`].
    pub async fn open(
        parts: BehindParts,
        pending: &[(Position, Bytes)],
        letters: &[(Position, Bytes)],
        next: Position,
    ) -> Result<Recovered> {
        let lanes: Vec<Lane> =
            (0..LANE_COUNT).map(|number| Lane { resource: parts.resource.clone(), number }).collect();
        let watermarks = match parts.drain.claim(&lanes, &parts.owner, false).await? {
            Claim::Held(watermarks) => watermarks,
            Claim::Taken(owner) => return Err(taken(&parts, &owner.name, &owner.journal)),
        };
        if watermarks.iter().any(|watermark| watermark.position >= next) {
            return Err(rewound(&parts));
        }
        let newest = watermarks.iter().map(|watermark| watermark.position.0).max().unwrap_or(0);
        let behind = Arc::new(build(parts, &lanes, &watermarks));
        behind.newest.fetch_max(newest, Ordering::AcqRel);
        let Dead { numbers, decided } = behind.restore_letters(letters)?;
        let (pending_count, applied) = behind.restore_pending(pending, &numbers)?;
        let applied_count = applied.len();
        behind.finish(applied).await;
        // Only when the other journal cannot bring the writes back.
        if !decided.is_empty() && behind.parts.journal.flush().await.is_ok() {
            behind.parts.letters.confirm(&decided);
        }
        Ok(Recovered { behind, pending_count, applied_count })
    }

    /// Takes in what the journal of dead letters holds.
    fn restore_letters(&self, letters: &[(Position, Bytes)]) -> Result<Dead> {
        let mut found: Vec<(Position, Position, Kept, String, u64)> = Vec::new();
        let mut resolved: HashMap<Position, Position> = HashMap::new();
        let mut outlived: HashMap<Position, Position> = HashMap::new();
        for (kept_at, bytes) in letters {
            match record::decode_letter(bytes)? {
                LetterRecord::Dead { position, kept, why, died_ms } if self.is_its(&kept.resource) => {
                    found.push((*kept_at, position, kept, why, died_ms));
                }
                LetterRecord::Outlived { resource, position } if self.is_its(&resource) => {
                    outlived.insert(position, *kept_at);
                }
                LetterRecord::Resolved { resource, position } if self.is_its(&resource) => {
                    resolved.insert(position, *kept_at);
                }
                LetterRecord::Attempted { resource, lane, first, to } if self.is_its(&resource) => {
                    let noted = Noted { first, to, kept_at: *kept_at };
                    let earlier = self.restored(lane)?.state.lock().noted.replace(noted);
                    let earlier = earlier.map(|noted| noted.kept_at);
                    self.parts.letters.confirm(&earlier.into_iter().collect::<Vec<_>>());
                }
                _ => {}
            }
        }
        let mut dead = Dead::default();
        // What is told of letters that are gone for good.
        let known: HashSet<Position> = found.iter().map(|(_, position, ..)| *position).collect();
        let orphans = resolved.iter().chain(&outlived).filter(|(position, _)| !known.contains(position));
        dead.decided.extend(orphans.map(|(_, kept_at)| *kept_at));
        for (kept_at, position, kept, why, died_ms) in found {
            dead.numbers.insert(position);
            self.note_position(position);
            let outlived_at = outlived.get(&position).copied();
            if let Some(decided_at) = resolved.get(&position) {
                dead.decided.extend([Some(kept_at), outlived_at, Some(*decided_at)].into_iter().flatten());
                continue;
            }
            if outlived_at.is_none() {
                let shown = self.parts.drain.check(&kept.write).unwrap_or(None);
                self.cell(&kept.key).state.lock().show(&kept.key, position, shown);
            }
            let mut letters = self.letters.lock();
            letters.restore(kept_at, position, kept, why, died_ms);
            if let Some(outlived_at) = outlived_at {
                letters.outlive(position, outlived_at);
            }
        }
        Ok(dead)
    }

    /// How many are pending, and which were settled already.
    fn restore_pending(
        &self,
        pending: &[(Position, Bytes)],
        dead: &HashSet<Position>,
    ) -> Result<(usize, Vec<(Key, Position)>)> {
        let (mut pending_count, mut applied) = (0, Vec::new());
        // They are in order, and there may be very many.
        let is_pending =
            |wanted: Position| pending.binary_search_by_key(&wanted, |(position, _)| *position).is_ok();
        for (position, bytes) in pending {
            let kept = record::decode(bytes)?;
            if !self.is_its(&kept.resource) {
                continue;
            }
            self.note_position(*position);
            if dead.contains(position) {
                self.parts.journal.confirm(&[*position]);
                continue;
            }
            let cell = self.restored(kept.lane)?;
            let mut state = cell.state.lock();
            let is_over = |noted: Noted| !is_pending(noted.to) && !dead.contains(&noted.to);
            let is_settled = |noted: Noted| noted.has_settled(*position, is_over(noted));
            if *position <= state.watermark.position || state.noted.is_some_and(is_settled) {
                applied.push((kept.key, *position));
                continue;
            }
            // It was acknowledged; if its value fits the table no longer, the source will say so.
            let shown = self.parts.drain.check(&kept.write).unwrap_or(None);
            let ticket = state.begin(kept.key.clone(), kept.write, kept.accepted_ms);
            state.accept(ticket, *position, shown);
            // Its mark may have run out before it was published, and a reader may have filled the old row.
            state.differ(kept.key, Position(0));
            pending_count += 1;
        }
        self.pass_conditions_on();
        let now = self.parts.clock.now();
        self.lanes.iter().for_each(|cell| cell.state.lock().resume(now));
        Ok((pending_count, applied))
    }

    /// Gives each write that was accepted on top of a dead letter the condition that it had inherited.
    fn pass_conditions_on(&self) {
        if self.parts.policy.on_conflict != OnConflict::DeadLetter {
            return;
        }
        // The one right before it counts.
        for letter in self.letters(usize::MAX).into_iter().rev() {
            if letter.write.condition != Condition::Always && !letter.is_outlived {
                let mut state = self.cell(&letter.key).state.lock();
                state.inherit(&letter.key, letter.position, &letter.write.condition);
            }
        }
    }

    /// Settles what an earlier process had no time to settle.
    async fn finish(&self, applied: Vec<(Key, Position)>) {
        for (key, position) in applied {
            let mut state = self.cell(&key).state.lock();
            state.hide(&key, position);
            // What the source made of it may not be what is in the cache.
            state.differ(key.clone(), position);
            state.confirm_later([(key, position)]);
        }
        for cell in &self.lanes {
            if let Err(error) = self.confirm_applied(cell).await {
                tracing::error!(lane = %cell.lane, %error, "the journal of dead letters cannot be written");
            }
        }
    }

    /// The lane with this number in a journal.
    fn restored(&self, lane: u16) -> Result<&Arc<LaneCell>> {
        self.lanes.get(usize::from(lane)).ok_or_else(|| strange_lane(lane))
    }

    fn is_its(&self, name: &str) -> bool {
        self.parts.resource.as_str() == name
    }

    /// Notes that this number was given.
    pub(super) fn note_position(&self, position: Position) {
        self.newest.fetch_max(position.0, Ordering::AcqRel);
    }
}

/// What the journal of dead letters tells about writes.
#[derive(Default)]
struct Dead {
    /// The numbers of all that are in it, decided about or not.
    numbers: HashSet<Position>,
    /// Where the records are of those that were decided about.
    decided: Vec<Position>,
}

fn build(parts: BehindParts, lanes: &[Lane], watermarks: &[Watermark]) -> Behind {
    let batch_max = parts.batch_max();
    let cell = |(lane, watermark): (&Lane, &Watermark)| {
        Arc::new(LaneCell {
            lane: lane.clone(),
            state: Mutex::new(LaneState::new(*watermark, batch_max)),
            due: Notify::new(),
            free: Notify::new(),
        })
    };
    Behind {
        lanes: lanes.iter().zip(watermarks).map(cell).collect(),
        letters: Mutex::new(Letters::default()),
        settled: Mutex::new(Settled::default()),
        permits: Semaphore::new(parts.policy.parallel_max.max(1)),
        changed: watch::Sender::new(0),
        newest: std::sync::atomic::AtomicU64::new(0),
        space: std::sync::OnceLock::new(),
        stats: BehindStats::default(),
        parts,
    }
}

fn taken(parts: &BehindParts, name: &str, journal: &str) -> Error {
    let detail = format!(
        "resource `{}` is written behind by `{name}` (journal {journal}), and has one owner: write there, or stop that \
         daemon after it has drained, or drain its folder with `throughline drain`",
        parts.resource
    );
    Error::new(ErrorKind::Configuration, "claim a resource", detail)
}

fn rewound(parts: &BehindParts) -> Error {
    let detail = format!(
        "the source has applied later writes of resource `{}` than this journal ever held: the journal's folder was \
         restored from a copy. Move the folder away, and what it still held is lost; then claim the resource anew",
        parts.resource
    );
    Error::new(ErrorKind::Configuration, "claim a resource", detail)
}

fn strange_lane(lane: u16) -> Error {
    let detail = format!("it holds a record of lane {lane}, and there are {LANE_COUNT}");
    Error::new(ErrorKind::Corrupt, "read the journal of accepted writes", detail)
}
