// SPDX-License-Identifier: MIT OR Apache-2.0
//! Write-behind: a write is answered when it is on disk in a journal, and brought to the source later.
//!
//! The journal takes the role of the source: *commit* is the sync of the journal, and this process, which alone owns
//! the resource's lanes, takes the role of the lock manager. So everything else stays as it is for write-through: the
//! key is marked in the cache and the mark confirmed before that commit, and the value is published after it.
//!
//! ```text
//!  write ─▶ accept ─▶ mark (confirmed) ─▶ journal (synced) ─▶ overlay ─▶ answer: Accepted
//!                                                               │
//!  read of a miss ─▶ overlay, else source                       ▼ later: delay, number, schedule, by hand
//!                                          lane ─▶ batch ─▶ Drain::apply (rows and watermark in one transaction)
//!                                                            │ a write that the source will never take: dead letter
//! ```
//!
//! Why nothing is lost and nothing is done twice:
//! 1. A record is in the journal before its answer, and is confirmed to the journal only after its batch was committed.
//! 2. The watermark of a lane is changed in the same transaction as the rows. After a crash, or a commit without an answer, it
//!    tells what is applied.
//! 3. The watermark never passes a record that is still being appended: a lane hands out only what has no such record
//!    before it.
//! 4. A write is shown from the overlay until the source shows it.
//!
//! | file | what it is |
//! |---|---|
//! | `accept` | the writer's side: conditions, the journal, the receipt |
//! | `overlay` | the loader's side: what was accepted, else the source |
//! | `lane` | what is pending in one lane, and what of it may be applied next |
//! | `drain` | applies batches until a lane is empty |
//! | `attempt` | what was given to the source and may be under way there |
//! | `letter` | dead letters: what the source refused for good, until an operator decides |
//! | `record` | what the journals hold |
//! | `recover` | what an earlier process left |
//! | `progress` | what has become of a write |

mod accept;
mod attempt;
mod drain;
mod lane;
mod letter;
mod overlay;
mod progress;
mod record;
mod recover;

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;
use throughline_core::{
    Clock, Drain, Error, ErrorKind, Journal, Key, Lane, Loader, Owner, ResourceName, Result, Rng, Tasks,
};
use tokio::sync::{Notify, Semaphore, watch};

use self::lane::{LaneState, Pending};
use self::progress::Settled;
use crate::space::Space;
use crate::stats::BehindStats;

pub use letter::DeadLetter;
pub use progress::{PendingWrite, Progress};
pub use record::journalled_resources;
pub use recover::Recovered;

/// Into how many lanes a resource's keys are divided. Part of the journal's format: a record belongs to a lane for good.
const LANE_COUNT: u16 = 8;

/// What a [`Behind`] is made of.
#[derive(Debug)]
pub struct BehindParts {
    /// The resource.
    pub resource: ResourceName,
    /// The source's read side.
    pub loader: Arc<dyn Loader>,
    /// The source's side for accepted writes.
    pub drain: Arc<dyn Drain>,
    /// Who this process is to the source.
    pub owner: Owner,
    /// Where accepted writes are kept.
    pub journal: Arc<dyn Journal>,
    /// Where dead letters are kept.
    pub letters: Arc<dyn Journal>,
    /// The settings.
    pub policy: BehindPolicy,
    /// Time, for pauses.
    pub clock: Arc<dyn Clock>,
    /// Time since 1970, for ages that outlast this process.
    pub wall: Arc<dyn Clock>,
    /// Chance, for pauses.
    pub rng: Arc<Rng>,
    /// Background work.
    pub tasks: Arc<dyn Tasks>,
}

impl BehindParts {
    /// The most writes of a batch.
    fn batch_max(&self) -> usize {
        self.policy.batch_max.clamp(1, self.drain.batch_max().max(1))
    }
}

/// When and how accepted writes are brought to the source.
#[derive(Clone, Debug)]
pub struct BehindPolicy {
    /// How long a write waits at first, in milliseconds, so that later ones of its key can take its place (1,000 by default).
    /// `None` waits for the number, the schedule, or an operator.
    pub delay_ms: Option<u64>,
    /// At how many pending writes of a lane it waits no longer (1,000 by default).
    pub count_max: usize,
    /// The most writes of a batch (500 by default).
    pub batch_max: usize,
    /// How many batches may be at the source at once (2 by default).
    pub parallel_max: usize,
    /// Whether only the newest of several pending writes of a key is applied (the default), or each in its order.
    pub coalesce: bool,
    /// What becomes of a write whose row was changed by others since it was accepted.
    pub on_conflict: OnConflict,
    /// Pauses after a failure, in milliseconds: doubled from the first to the last, each shortened by up to half, by chance
    /// (100 and 30,000 by default).
    pub pause_ms: (u64, u64),
}

impl Default for BehindPolicy {
    fn default() -> Self {
        Self {
            delay_ms: Some(1_000),
            count_max: 1_000,
            batch_max: 500,
            parallel_max: 2,
            coalesce: true,
            on_conflict: OnConflict::Overwrite,
            pause_ms: (100, 30_000),
        }
    }
}

/// What becomes of a write whose row was changed by others since it was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnConflict {
    /// It is applied all the same: the last accepted write wins.
    Overwrite,
    /// It becomes a dead letter. To know what the row was, the source is read before a write is accepted.
    DeadLetter,
}

/// The write-behind side of one resource.
pub struct Behind {
    parts: BehindParts,
    lanes: Vec<Arc<LaneCell>>,
    letters: Mutex<letter::Letters>,
    settled: Mutex<Settled>,
    /// Batches that may be at the source.
    permits: Semaphore,
    /// Told whenever a write was settled, or a lane was lost.
    changed: watch::Sender<u64>,
    /// The greatest number that was given to a write of the resource, as far as is known.
    newest: AtomicU64,
    space: OnceLock<Weak<Space>>,
    stats: BehindStats,
}

/// One lane with what wakes those who wait for it.
#[derive(Debug)]
struct LaneCell {
    lane: Lane,
    state: Mutex<LaneState>,
    /// Wakes the lane's drain.
    due: Notify,
    /// Wakes who waits for a key.
    free: Notify,
}

impl fmt::Debug for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Behind").field("resource", &self.parts.resource).finish_non_exhaustive()
    }
}

impl Behind {
    /// The counters.
    pub fn stats(&self) -> &BehindStats {
        &self.stats
    }

    /// The resource.
    pub fn resource(&self) -> &ResourceName {
        &self.parts.resource
    }

    /// Names the resource's space, whose entries are dropped when the source makes something else of a write.
    ///
    /// # Panics
    /// When it is called twice.
    pub fn attach(&self, space: &Arc<Space>) {
        self.space.set(Arc::downgrade(space)).expect("assembly attaches the space once");
    }

    /// Writes that are accepted and not applied, dead letters excluded.
    pub fn pending_count(&self) -> usize {
        self.lanes.iter().map(|cell| cell.state.lock().len()).sum()
    }

    /// For how long the oldest pending write has been waiting, in milliseconds.
    pub fn oldest_age_ms(&self) -> u64 {
        let now = self.parts.wall.now().as_ms();
        let oldest = self.lanes.iter().filter_map(|cell| cell.state.lock().oldest_ms()).min();
        oldest.map_or(0, |accepted| now.saturating_sub(accepted))
    }

    /// Pending writes, oldest first, at most `count_max`.
    pub fn pending(&self, count_max: usize) -> Vec<PendingWrite> {
        let mut all: Vec<PendingWrite> = Vec::new();
        for cell in &self.lanes {
            let state = cell.state.lock();
            all.extend(state.accepted().take(count_max).map(|item| self.describe(item, &state)));
        }
        all.sort_by_key(|write| write.position);
        all.truncate(count_max);
        all
    }

    fn describe(&self, item: &Pending, state: &LaneState) -> PendingWrite {
        let now = self.parts.wall.now().as_ms();
        PendingWrite {
            position: item.position.unwrap_or_default(),
            key: item.key.clone(),
            change: item.write.change.clone(),
            age_ms: now.saturating_sub(item.accepted_ms),
            trouble: state.trouble.as_ref().map(|trouble| trouble.told(self.parts.clock.now())),
        }
    }

    fn cell(&self, key: &Key) -> &Arc<LaneCell> {
        &self.lanes[usize::from(lane_of(key))]
    }

    /// The error of whoever comes after the lane was lost.
    fn lost(&self, owner: &Owner) -> Error {
        let detail = format!(
            "resource `{}` is written behind by `{}` (journal {}); write there, or stop it and let it drain",
            self.parts.resource, owner.name, owner.journal
        );
        Error::new(ErrorKind::Unavailable, "accept a write", detail)
    }

    fn note_change(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    /// Has everything applied that is pending now, without waiting for delay, number or schedule; ready when that is so, and
    /// no entry of it is left that differs from its row. Waits as long as that takes: bound it by a time-out.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when the resource belongs to another daemon now.
    ///
    /// # Cancel safety
    /// Dropping it stops the waiting only.
    pub async fn drain(&self) -> Result<()> {
        let mut changed = self.changed.subscribe();
        let asked: Vec<Option<u64>> = self.ask();
        loop {
            changed.mark_unchanged();
            let mut is_done = true;
            for (cell, ticket) in self.lanes.iter().zip(&asked) {
                let state = cell.state.lock();
                if let Some(owner) = &state.lost {
                    return Err(self.lost(owner));
                }
                is_done &= state.is_settled(*ticket);
            }
            if is_done {
                return Ok(());
            }
            // The sender lives as long as this.
            let _ = changed.changed().await;
        }
    }

    /// Has everything applied that is pending now; does not wait for it.
    pub fn start_drain(&self) {
        self.ask();
    }

    /// Asks each lane for what it has; the newest ticket of each.
    fn ask(&self) -> Vec<Option<u64>> {
        let ask = |cell: &Arc<LaneCell>| {
            let newest = cell.state.lock().ask();
            cell.due.notify_one();
            newest
        };
        self.lanes.iter().map(ask).collect()
    }

    /// Drops the entries that an earlier process may have left behind, as far as the cache can be reached. To be called
    /// before the resource is served.
    pub async fn refresh(&self) {
        for cell in &self.lanes {
            self.drop_differing(cell).await;
        }
    }

    /// Gives the lanes up, if nothing is pending and there is no dead letter; whether it did.
    ///
    /// # Errors
    /// Those of the journals and of [`Drain::release`].
    pub async fn release(&self) -> Result<bool> {
        let has_leftovers = self.lanes.iter().any(|cell| cell.state.lock().has_leftovers());
        if self.pending_count() > 0 || has_leftovers || !self.letters.lock().is_empty() {
            return Ok(false);
        }
        // Who has the lanes next knows nothing of this journal, so nothing of it may come back.
        self.parts.journal.flush().await?;
        self.forget_attempts();
        self.parts.drain.release(&self.lane_names(), &self.parts.owner).await?;
        Ok(true)
    }

    fn lane_names(&self) -> Vec<Lane> {
        self.lanes.iter().map(|cell| cell.lane.clone()).collect()
    }
}

/// The lane of a key: FNV-1a, for it must be the same in every version that reads the journal.
fn lane_of(key: &Key) -> u16 {
    let hash = key.as_str().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    u16::try_from((hash >> 32) % u64::from(LANE_COUNT)).expect("a remainder of a small number")
}
