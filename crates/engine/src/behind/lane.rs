// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is pending in one lane. Nothing here waits.

use std::collections::{HashMap, VecDeque};

use throughline_core::{
    AcceptedWrite, Condition, Error, Key, Owner, Position, Record, Tick, Watermark, Write,
};
use tokio::sync::oneshot;

use super::attempt::{Noted, Unanswered};
use super::progress::Trouble;

/// An accepted write that is not applied.
#[derive(Debug)]
pub(super) struct Pending {
    /// Tells it from others before it has a position.
    ticket: u64,
    /// `None` while it is being appended.
    pub(super) position: Option<Position>,
    pub(super) key: Key,
    pub(super) write: Write,
    pub(super) accepted_ms: u64,
    /// Those who wait until it is settled.
    pub(super) waiters: Vec<oneshot::Sender<Option<Error>>>,
}

/// What readers of a key are shown, and whether it is being written.
#[derive(Debug, Default)]
struct Shown {
    is_written: bool,
    /// In the order of their positions: what was accepted and the source does not show yet, dead letters included. The last
    /// is what counts. Mostly one, so no tree, which would take ten times the room.
    records: Vec<(Position, Option<Record>)>,
}

impl Shown {
    fn add(&mut self, position: Position, record: Option<Record>) {
        // A group's writes are accepted in their order; only a dead letter of an earlier process may come late.
        let place = self.records.partition_point(|(known, _)| *known < position);
        if self.records.is_empty() {
            self.records.reserve_exact(1);
        }
        self.records.insert(place, (position, record));
    }
}

/// A lane's part of what is pending.
#[derive(Debug)]
pub(super) struct LaneState {
    pub(super) watermark: Watermark,
    /// In the order of the journal.
    items: VecDeque<Pending>,
    keys: HashMap<Key, Shown>,
    tickets: u64,
    /// Up to which ticket what is pending is to be applied at once.
    asked_to: Option<u64>,
    /// Whether somebody has asked since the last batch was begun: then no pause is waited for.
    is_hurried: bool,
    /// Why the last batch was not applied.
    pub(super) trouble: Option<Trouble>,
    /// Keys whose entries must go, and up to where the source is shown from then on: because the row is not what was accepted,
    /// or because an earlier process may have left an entry. One for each key.
    differing: HashMap<Key, Position>,
    /// How many are settling a batch, or doing what is left of one.
    busy_count: usize,
    /// Applied, and not confirmed to the journal, because it could not be noted that dead letters are older.
    unconfirmed: Vec<(Key, Position)>,
    /// A batch of which nobody knows whether it was applied: it is given again as it was.
    pub(super) unanswered: Option<Unanswered>,
    /// What was noted about the last batch, where the source keeps no watermark.
    pub(super) noted: Option<Noted>,
    /// Who has the lane instead.
    pub(super) lost: Option<Owner>,
    /// The most writes of the next batch: less than usual while a write is being found that spoils batches.
    pub(super) batch_max: usize,
}

/// What is to be applied next.
#[derive(Clone, Debug)]
pub(super) struct Chosen {
    pub(super) from: Watermark,
    /// The oldest pending write and the last that it stands for.
    pub(super) first: Position,
    pub(super) to: Position,
    pub(super) writes: Vec<AcceptedWrite>,
    /// How many of the oldest pending writes that is, those included whose place another took.
    pub(super) count: usize,
}

impl LaneState {
    pub(super) fn new(watermark: Watermark, batch_max: usize) -> Self {
        Self {
            watermark,
            items: VecDeque::new(),
            keys: HashMap::new(),
            tickets: 0,
            asked_to: None,
            is_hurried: false,
            trouble: None,
            differing: HashMap::new(),
            busy_count: 0,
            unconfirmed: Vec::new(),
            unanswered: None,
            noted: None,
            lost: None,
            batch_max,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// When the oldest was accepted, since 1970.
    pub(super) fn oldest_ms(&self) -> Option<u64> {
        self.items.front().map(|item| item.accepted_ms)
    }

    /// What is pending and has its position.
    pub(super) fn accepted(&self) -> impl Iterator<Item = &Pending> {
        self.items.iter().filter(|item| item.position.is_some())
    }

    pub(super) fn find(&mut self, position: Position) -> Option<&mut Pending> {
        let place = self.place_of(position)?;
        Some(&mut self.items[place])
    }

    /// Where a write is: by halves, for there may be very many, and stepping over those that have no position yet.
    fn place_of(&self, position: Position) -> Option<usize> {
        let (mut low, mut high) = (0, self.items.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let known = (middle..high).find_map(|place| Some((place, self.items[place].position?)));
            match known {
                Some((place, known)) if known == position => return Some(place),
                Some((place, known)) if known < position => low = place + 1,
                _ => high = middle,
            }
        }
        None
    }

    /// Takes the key for a writer, if nobody has it.
    pub(super) fn take_key(&mut self, key: &Key) -> bool {
        let shown = self.keys.entry(key.clone()).or_default();
        !std::mem::replace(&mut shown.is_written, true)
    }

    /// Gives the key back.
    pub(super) fn give_key(&mut self, key: &Key) {
        if let Some(shown) = self.keys.get_mut(key) {
            shown.is_written = false;
        }
        self.forget_if_idle(key);
    }

    fn forget_if_idle(&mut self, key: &Key) {
        if self.keys.get(key).is_some_and(|shown| !shown.is_written && shown.records.is_empty()) {
            self.keys.remove(key);
        }
    }

    /// Whether somebody writes the key.
    pub(super) fn is_written(&self, key: &Key) -> bool {
        self.keys.get(key).is_some_and(|shown| shown.is_written)
    }

    /// What readers see of the key, if the source does not count: a record, or that there is none.
    pub(super) fn shown(&self, key: &Key) -> Option<(Position, &Option<Record>)> {
        self.keys.get(key)?.records.last().map(|(position, record)| (*position, record))
    }

    /// Notes a write that is being appended; to be called in the order of the appends.
    pub(super) fn begin(&mut self, key: Key, write: Write, accepted_ms: u64) -> u64 {
        let ticket = self.tickets;
        self.tickets += 1;
        let waiters = Vec::new();
        self.items.push_back(Pending { ticket, position: None, key, write, accepted_ms, waiters });
        ticket
    }

    /// The append is done: the write is shown from now on. Whether it is the oldest, whose arrival the drain waits for.
    pub(super) fn accept(&mut self, ticket: u64, position: Position, record: Option<Record>) -> bool {
        let place = self.place(ticket);
        let item = &mut self.items[place];
        item.position = Some(position);
        self.keys.entry(item.key.clone()).or_default().add(position, record);
        place == 0
    }

    /// The append failed.
    pub(super) fn withdraw(&mut self, ticket: u64) {
        let place = self.place(ticket);
        self.items.remove(place);
    }

    fn place(&self, ticket: u64) -> usize {
        self.items
            .binary_search_by_key(&ticket, |item| item.ticket)
            .expect("nothing else removes what is being appended")
    }

    /// Shows a record that was accepted by an earlier process, or is a dead letter.
    pub(super) fn show(&mut self, key: &Key, position: Position, record: Option<Record>) {
        self.keys.entry(key.clone()).or_default().add(position, record);
    }

    /// Shows the key's records up to this position no longer.
    pub(super) fn hide(&mut self, key: &Key, to: Position) {
        if let Some(shown) = self.keys.get_mut(key) {
            shown.records.retain(|(position, _)| *position > to);
        }
        self.forget_if_idle(key);
    }

    /// Shows this one record no longer.
    pub(super) fn hide_one(&mut self, key: &Key, position: Position) {
        if let Some(shown) = self.keys.get_mut(key) {
            shown.records.retain(|(known, _)| *known != position);
        }
        self.forget_if_idle(key);
    }

    /// Whether there is something to be applied: the oldest is not on its way into the journal any more.
    pub(super) fn is_ready(&self) -> bool {
        self.items.front().is_some_and(|item| item.position.is_some())
    }

    /// What is to be applied next: the oldest, up to the first that is still being appended.
    pub(super) fn choose(&self, coalesce: bool) -> Option<Chosen> {
        self.gather(coalesce, self.batch_max, Position(u64::MAX))
    }

    /// What was chosen by an earlier process, up to this position.
    pub(super) fn chosen_before(&self, last: Position) -> Option<Chosen> {
        self.gather(true, usize::MAX, last)
    }

    fn gather(&self, coalesce: bool, len_max: usize, last: Position) -> Option<Chosen> {
        let mut writes: Vec<AcceptedWrite> = Vec::new();
        let mut places: HashMap<&Key, usize> = HashMap::new();
        let (mut count, mut to) = (0, None);
        for item in &self.items {
            let Some(position) = item.position.filter(|position| *position <= last) else { break };
            // One with a condition of its own was judged by the row, not by what is pending: it stays by itself.
            let may_replace = coalesce && item.write.condition == Condition::Always;
            let known = if may_replace { places.get(&item.key).copied() } else { None };
            match known {
                // The newest takes the place of the older ones, whose condition tells what the row was before all of them.
                Some(place) => {
                    let condition = writes[place].write.condition.clone();
                    let write = Write { condition, ..item.write.clone() };
                    writes[place] = AcceptedWrite { position, write };
                }
                None if writes.len() == len_max => break,
                None => {
                    places.insert(&item.key, writes.len());
                    writes.push(AcceptedWrite { position, write: item.write.clone() });
                }
            }
            count += 1;
            to = Some(position);
        }
        writes.sort_by_key(|write| write.position);
        let first = self.items.front()?.position?;
        Some(Chosen { from: self.watermark, first, to: to?, writes, count })
    }

    /// Takes out what a batch has applied: everything up to the watermark. Those whose key is in `differing` are still shown, until
    /// their entries are gone.
    pub(super) fn settle(&mut self, watermark: Watermark, differing: Vec<Key>) -> Vec<Pending> {
        self.watermark = watermark;
        let is_settled =
            |item: &Pending| item.position.is_some_and(|position| position <= watermark.position);
        let count = self.items.iter().take_while(|item| is_settled(item)).count();
        let settled: Vec<Pending> = self.items.drain(..count).collect();
        // Each key once, up to its last: a hot key has many.
        let mut last: HashMap<&Key, Position> = HashMap::new();
        for item in &settled {
            last.insert(&item.key, item.position.unwrap_or_default());
        }
        for key in differing {
            if let Some(position) = last.remove(&key) {
                self.differ(key, position);
            }
        }
        for (key, position) in last {
            self.hide(key, position);
        }
        settled
    }

    /// Asks for all that is pending now to be applied at once; the ticket of the newest of it, if there is any.
    pub(super) fn ask(&mut self) -> Option<u64> {
        self.asked_to = self.items.back().map(|item| item.ticket).or(self.asked_to);
        self.is_hurried = true;
        self.items.back().map(|item| item.ticket)
    }

    /// Whether somebody has asked since this was last called.
    pub(super) fn take_hurry(&mut self) -> bool {
        std::mem::take(&mut self.is_hurried)
    }

    pub(super) fn is_asked(&self) -> bool {
        self.items.front().is_some_and(|item| self.asked_to.is_some_and(|to| item.ticket <= to))
    }

    /// Whether everything up to this ticket is settled, and nothing of it is left to be tidied up.
    pub(super) fn is_settled(&self, ticket: Option<u64>) -> bool {
        let is_behind = |to: u64| self.items.front().is_none_or(|item| item.ticket > to);
        ticket.is_none_or(is_behind) && !self.has_leftovers()
    }

    /// Whether entries must go, something applied is not confirmed to the journal, or somebody is just at that.
    pub(super) fn has_leftovers(&self) -> bool {
        self.busy_count > 0 || self.has_work_left()
    }

    /// Whether somebody must do that.
    pub(super) fn has_work_left(&self) -> bool {
        !self.differing.is_empty() || !self.unconfirmed.is_empty()
    }

    /// Notes that somebody begins to settle a batch or to do what is left of one, and when it is over.
    pub(super) fn begin_settling(&mut self) {
        self.busy_count += 1;
    }

    pub(super) fn end_settling(&mut self) {
        self.busy_count -= 1;
    }

    /// Notes what is applied and cannot be confirmed now.
    pub(super) fn confirm_later(&mut self, applied: impl IntoIterator<Item = (Key, Position)>) {
        self.unconfirmed.extend(applied);
    }

    pub(super) fn take_unconfirmed(&mut self) -> Vec<(Key, Position)> {
        std::mem::take(&mut self.unconfirmed)
    }

    /// Notes that the entry of a key must go, and that the source is shown up to `position` from then on; 0 for no further.
    pub(super) fn differ(&mut self, key: Key, position: Position) {
        let known = self.differing.entry(key).or_default();
        *known = (*known).max(position);
    }

    /// Some of the keys whose entries must go, taken for a writer; a key that is being written comes again.
    pub(super) fn take_differing(&mut self, count_max: usize) -> Vec<(Key, Position)> {
        let free = self.differing.keys().filter(|key| !self.is_written(key)).take(count_max);
        let free: Vec<Key> = free.cloned().collect();
        let taken = free.into_iter().filter_map(|key| self.differing.remove_entry(&key));
        let taken: Vec<(Key, Position)> = taken.collect();
        for (key, _) in &taken {
            self.take_key(key);
        }
        taken
    }

    /// Takes out everybody who waits for a write of the lane.
    pub(super) fn take_waiters(&mut self) -> Vec<oneshot::Sender<Option<Error>>> {
        self.items.iter_mut().flat_map(|item| std::mem::take(&mut item.waiters)).collect()
    }

    /// Takes out one write, which becomes a dead letter. It is shown as before.
    pub(super) fn remove(&mut self, position: Position) -> Option<Pending> {
        let place = self.place_of(position)?;
        self.items.remove(place)
    }

    /// Whether a later write of the key is pending.
    pub(super) fn is_followed(&self, key: &Key, position: Position) -> bool {
        self.items.iter().any(|item| item.key == *key && item.position.is_none_or(|later| later > position))
    }

    /// Hands the condition of a write that is a dead letter now to the write that was accepted on top of it.
    pub(super) fn inherit(&mut self, key: &Key, position: Position, condition: &Condition) {
        if *condition == Condition::Always {
            return;
        }
        let heir = self.items.iter_mut().find(|item| item.key == *key);
        if let Some(heir) = heir.filter(|heir| heir.position.is_none_or(|place| place > position))
            && heir.write.condition == Condition::Always
        {
            heir.write.condition = condition.clone();
        }
    }

    /// When a pending write is due, if the delay says when; `Tick` of the wall.
    pub(super) fn is_due(&self, delay_ms: Option<u64>, count_max: usize, now: Tick) -> Due {
        if self.items.is_empty() {
            return Due::Nothing;
        }
        if self.is_asked() || self.items.len() >= count_max || self.unanswered.is_some() {
            return Due::Now;
        }
        let (Some(delay_ms), Some(oldest_ms)) = (delay_ms, self.oldest_ms()) else { return Due::Nothing };
        match (oldest_ms + delay_ms).saturating_sub(now.as_ms()) {
            0 => Due::Now,
            // A wall clock that was set back must not stop anything for longer than the delay.
            left_ms => Due::In(left_ms.min(delay_ms)),
        }
    }
}

/// When a lane's drain has something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Now,
    /// In so many milliseconds.
    In(u64),
    /// When it is told.
    Nothing,
}
