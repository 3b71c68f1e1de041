// SPDX-License-Identifier: MIT OR Apache-2.0
//! What has become of an accepted write.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering;

use throughline_core::{Change, Error, Key, Position, Tick};
use tokio::sync::oneshot;

use super::Behind;

/// How many settled writes are remembered one by one (about 4 MB at most).
const SETTLED_MAX: usize = 65_536;

/// What has become of an accepted write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is in the journal and will be applied.
    Accepted,
    /// The source did not take it yet; it is tried again.
    Retrying {
        /// What was wrong.
        why: String,
        /// In how many milliseconds it is tried again.
        next_ms: u64,
        /// How often it was tried.
        attempts: u32,
    },
    /// It is in the source, or a later write of its key took its place.
    Applied,
    /// The source refused it for good; an operator decides.
    Dead {
        /// What was wrong.
        why: String,
    },
    /// An operator discarded it.
    Discarded,
    /// An operator had it tried again, as the write with this number.
    Renewed(Position),
    /// It is not pending any more, and how it was settled is not remembered: applied, or decided about by an operator.
    Settled,
    /// This journal has given no such number to this resource.
    Unknown,
}

/// A write that is waiting, for operators.
#[derive(Clone, Debug)]
pub struct PendingWrite {
    /// Its number.
    pub position: Position,
    /// Its key.
    pub key: Key,
    /// What it does.
    pub change: Change,
    /// How long it has been waiting, in milliseconds.
    pub age_ms: u64,
    /// Why it was not applied so far, if it was tried.
    pub trouble: Option<Progress>,
}

/// Why a lane does not get on.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub(super) why: String,
    pub(super) attempts: u32,
    pub(super) next: Tick,
}

impl Trouble {
    pub(super) fn told(&self, now: Tick) -> Progress {
        let next_ms = self.next.ms_since(now);
        Progress::Retrying { why: self.why.clone(), next_ms, attempts: self.attempts }
    }
}

/// How the last writes were settled.
#[derive(Debug, Default)]
pub(super) struct Settled {
    ends: HashMap<Position, Progress>,
    order: VecDeque<Position>,
}

impl Settled {
    pub(super) fn note(&mut self, position: Position, end: Progress) {
        if self.ends.insert(position, end).is_none() {
            self.order.push_back(position);
        }
        if self.order.len() > SETTLED_MAX {
            let oldest = self.order.pop_front();
            oldest.and_then(|oldest| self.ends.remove(&oldest));
        }
    }
}

impl Behind {
    /// What has become of the write with this number.
    pub fn progress(&self, position: Position) -> Progress {
        for cell in &self.lanes {
            let mut state = cell.state.lock();
            if state.find(position).is_some() {
                let now = self.parts.clock.now();
                return state.trouble.as_ref().map_or(Progress::Accepted, |trouble| trouble.told(now));
            }
        }
        if let Some(letter) = self.letters.lock().get(position) {
            return Progress::Dead { why: letter.why.clone() };
        }
        if let Some(end) = self.settled.lock().ends.get(&position) {
            return end.clone();
        }
        let newest = self.newest.load(Ordering::Acquire);
        if position.0 <= newest { Progress::Settled } else { Progress::Unknown }
    }

    /// Ready when the write with this number is in the source.
    ///
    /// # Errors
    /// Why it is not and will not be, unless an operator has it tried again: the source's error.
    ///
    /// # Cancel safety
    /// Dropping it stops the waiting only.
    pub async fn applied(&self, position: Position) -> Result<(), Error> {
        let told = {
            let mut told = None;
            for cell in &self.lanes {
                if let Some(item) = cell.state.lock().find(position) {
                    let (tell, waiting) = oneshot::channel();
                    // Who asks again and again, with a time-out, leaves one behind each time.
                    item.waiters.retain(|waiter| !waiter.is_closed());
                    item.waiters.push(tell);
                    told = Some(waiting);
                    break;
                }
            }
            told
        };
        match told {
            // Dropped unanswered only when the program stops.
            Some(waiting) => match waiting.await {
                Ok(None) => Ok(()),
                Ok(Some(error)) => Err(error),
                Err(_) => Err(super::letter::closed()),
            },
            None => match self.letters.lock().get(position) {
                Some(letter) => Err(letter.error()),
                None => Ok(()),
            },
        }
    }
}
