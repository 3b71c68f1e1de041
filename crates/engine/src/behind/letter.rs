// SPDX-License-Identifier: MIT OR Apache-2.0
//! Dead letters: accepted writes that the source refused for good. Each is kept, and shown to readers, until an operator
//! has decided about it or a later write of its key has taken its place.

use std::collections::BTreeMap;
use std::sync::Arc;

use throughline_core::{Change, Condition, Error, ErrorKind, Key, Position, Record, Result, Target, Write};

use super::progress::Progress;
use super::record::{Kept, LetterRecord};
use super::{Behind, LaneCell};

/// A write that the source refused for good.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// The number of the write.
    pub position: Position,
    /// Its key.
    pub key: Key,
    /// The write.
    pub write: Write,
    /// Why the source refused it.
    pub why: String,
    /// When it was accepted, in milliseconds since 1970.
    pub accepted_ms: u64,
    /// When it was refused, in milliseconds since 1970.
    pub died_ms: u64,
    /// Whether a later write of its key is in the source: then readers are not shown this one.
    pub is_outlived: bool,
    /// Its places in the journal of dead letters.
    kept_at: Vec<Position>,
}

impl DeadLetter {
    pub(super) fn error(&self) -> Error {
        Error::new(ErrorKind::Constraint, "apply an accepted write", self.why.clone())
    }
}

/// The dead letters of a resource, by the writes' numbers.
#[derive(Debug, Default)]
pub(super) struct Letters(BTreeMap<Position, DeadLetter>);

impl Letters {
    pub(super) fn get(&self, position: Position) -> Option<&DeadLetter> {
        self.0.get(&position)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes in what an earlier process left.
    pub(super) fn restore(
        &mut self,
        kept_at: Position,
        position: Position,
        kept: Kept,
        why: String,
        died_ms: u64,
    ) {
        let Kept { key, write, accepted_ms, .. } = kept;
        let kept_at = vec![kept_at];
        let letter =
            DeadLetter { position, key, write, why, accepted_ms, died_ms, is_outlived: false, kept_at };
        self.0.insert(position, letter);
    }

    /// Notes that a letter is not shown any more, and where that is kept.
    pub(super) fn outlive(&mut self, position: Position, kept_at: Position) {
        if let Some(letter) = self.0.get_mut(&position) {
            letter.is_outlived = true;
            letter.kept_at.push(kept_at);
        }
    }

    /// The letters of these keys that are older than the write that was applied, and shown so far.
    fn outlived_by(&self, applied: &[(&Key, Position)]) -> Vec<Position> {
        let is_outlived = |letter: &&DeadLetter| {
            let later = |(key, at): &(&Key, Position)| **key == letter.key && *at > letter.position;
            !letter.is_outlived && applied.iter().any(later)
        };
        self.0.values().filter(is_outlived).map(|letter| letter.position).collect()
    }
}

pub(super) fn closed() -> Error {
    Error::new(
        ErrorKind::Closed,
        "wait for an accepted write",
        "the program is shutting down; the write is kept",
    )
}

fn unknown(position: Position) -> Error {
    let detail = format!("there is no dead letter {}", position.0);
    Error::new(ErrorKind::InvalidKey, "decide about a dead letter", detail)
}

impl Behind {
    /// How many dead letters there are.
    pub fn letter_count(&self) -> usize {
        self.letters.lock().0.len()
    }

    /// Dead letters, oldest first, at most `count_max`.
    pub fn letters(&self, count_max: usize) -> Vec<DeadLetter> {
        self.letters.lock().0.values().take(count_max).cloned().collect()
    }

    /// The dead letter of the write with this number.
    pub fn letter(&self, position: Position) -> Option<DeadLetter> {
        self.letters.lock().0.get(&position).cloned()
    }

    /// Makes a pending write a dead letter: durable as such before it leaves the lane.
    ///
    /// # Errors
    /// Those of the journal of dead letters; then it stays pending.
    pub(super) async fn bury(
        self: &Arc<Self>,
        cell: &LaneCell,
        position: Position,
        error: &Error,
    ) -> Result<()> {
        let kept = {
            let mut state = cell.state.lock();
            let Some(item) = state.find(position) else { return Ok(()) };
            self.kept(&item.key, item.write.clone(), item.accepted_ms)
        };
        let (key, condition) = (kept.key.clone(), kept.write.condition.clone());
        // Whoever writes the key now was told that it is on top of this one, and could not inherit its condition.
        let lock = match condition {
            Condition::Always => None,
            _ => Some(self.lock(&key).await?),
        };
        let (why, died_ms) = (error.to_string(), self.parts.wall.now().as_ms());
        let record = LetterRecord::Dead { position, kept: kept.clone(), why: why.clone(), died_ms };
        let kept_at = self.parts.letters.append(record.encode()).await?;
        tracing::error!(lane = %cell.lane, write = position.0, %error, "the source refused an accepted write for good: it is a dead letter now");
        self.letters.lock().restore(kept_at, position, kept, why, died_ms);
        let item = {
            let mut state = cell.state.lock();
            state.trouble = None;
            let item = state.remove(position);
            state.inherit(&key, position, &condition);
            item
        };
        drop(lock);
        // If it cannot be noted, the next attempt's note says the same, or that an operator has decided.
        let _ = self.note_end(cell, position).await;
        self.parts.journal.confirm(&[position]);
        self.stats.letters.add(1);
        for waiter in item.into_iter().flat_map(|item| item.waiters) {
            let _ = waiter.send(Some(error.clone()));
        }
        self.note_change();
        Ok(())
    }

    /// Has a dead letter tried again, as a new write, with another value if one is given; the new write's number.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidKey`] when there is no such letter; [`ErrorKind::Constraint`] when a later write of its key was
    /// accepted, which it would undo; those of [`throughline_core::Drain::check`] and of the journals.
    ///
    /// # Cancel safety
    /// Dropped, it may have been accepted again and still be a dead letter; discard that.
    pub async fn retry_letter(
        self: &Arc<Self>,
        position: Position,
        change: Option<Change>,
    ) -> Result<Position> {
        let letter = self.letter(position).ok_or_else(|| unknown(position))?;
        let mut write = Write {
            target: Target::Key(letter.key.clone()),
            change: change.unwrap_or_else(|| letter.write.change.clone()),
            condition: Condition::Always,
        };
        let record = self.parts.drain.check(&write)?;
        let lock = self.lock(&letter.key).await?;
        let cell = self.cell(&letter.key);
        if cell.state.lock().shown(&letter.key).is_none_or(|(newest, _)| newest != position) {
            let detail = "a later write of the same key was accepted, which this one would undo: discard it";
            return Err(Error::new(ErrorKind::Constraint, "decide about a dead letter", detail));
        }
        // What others made of the row until now is what the operator has looked at; what they make of it from now on is not.
        write.condition = self.condition_of_now(&letter.key).await?;
        self.invalidate(&letter.key).await?;
        let renewed = self.append_again(cell, &letter.key, write, record).await?;
        self.resolve(&letter, Progress::Renewed(renewed)).await?;
        drop(lock);
        Ok(renewed)
    }

    async fn append_again(
        &self,
        cell: &LaneCell,
        key: &Key,
        write: Write,
        record: Option<Record>,
    ) -> Result<Position> {
        let kept = self.kept(key, write, self.parts.wall.now().as_ms());
        let (ticket, append) = self.append(&mut cell.state.lock(), kept);
        let withdrawn = Withdrawn { behind: self, cell, ticket: Some(ticket) };
        let position = append.await?;
        withdrawn.keep();
        cell.state.lock().accept(ticket, position, record);
        cell.due.notify_one();
        self.note_position(position);
        self.stats.accepted.add(1);
        Ok(position)
    }

    /// Forgets a dead letter for good: from now on readers see the source.
    ///
    /// # Cancel safety
    /// Dropped, it is forgotten or as it was.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidKey`] when there is no such letter; [`ErrorKind::Constraint`] when a write that was accepted on top of it
    /// is still to be applied under its condition; those of the cache, when it did not confirm that the entry is gone;
    /// those of the journal.
    pub async fn discard_letter(self: &Arc<Self>, position: Position) -> Result<()> {
        let letter = self.letter(position).ok_or_else(|| unknown(position))?;
        let _lock = self.lock(&letter.key).await?;
        let is_followed = || self.cell(&letter.key).state.lock().is_followed(&letter.key, position);
        if letter.write.condition != Condition::Always && is_followed() {
            let detail = "a write that was accepted on top of it is pending, under the condition that this one had: discard it \
                          when that one is applied or a dead letter, too";
            return Err(Error::new(ErrorKind::Constraint, "decide about a dead letter", detail));
        }
        self.invalidate(&letter.key).await?;
        self.resolve(&letter, Progress::Discarded).await
    }

    /// Drops the key's entry, while nobody may fill it.
    async fn invalidate(&self, key: &Key) -> Result<()> {
        self.invalidate_entries(std::slice::from_ref(key)).await.pop().unwrap_or(Ok(()))
    }

    /// Notes, durably, that letters are older than what was applied: after a crash they must not be shown over it. To be
    /// called before what was applied is confirmed to the journal.
    ///
    /// # Errors
    /// Those of the journal of dead letters; some may be noted.
    pub(super) async fn outlive(&self, applied: &[(&Key, Position)]) -> Result<()> {
        let outlived = {
            let letters = self.letters.lock();
            if letters.is_empty() { Vec::new() } else { letters.outlived_by(applied) }
        };
        for position in outlived {
            let resource = self.parts.resource.as_str().to_owned();
            let record = LetterRecord::Outlived { resource, position };
            let kept_at = self.parts.letters.append(record.encode()).await?;
            self.letters.lock().outlive(position, kept_at);
        }
        Ok(())
    }

    /// Takes a letter away, durably: it must not come back and be shown over what was written later.
    async fn resolve(&self, letter: &DeadLetter, end: Progress) -> Result<()> {
        self.note_end(self.cell(&letter.key), letter.position).await?;
        let resource = self.parts.resource.as_str().to_owned();
        let record = LetterRecord::Resolved { resource, position: letter.position };
        let kept_at = self.parts.letters.append(record.encode()).await?;
        // In this order: a loss of power may keep the first without the last, never the last without the first.
        let removed = self.letters.lock().0.remove(&letter.position);
        let mut places = removed.map(|letter| letter.kept_at).unwrap_or_default();
        places.push(kept_at);
        self.cell(&letter.key).state.lock().hide_one(&letter.key, letter.position);
        self.settled.lock().note(letter.position, end);
        self.note_change();
        // All is done but this, also if nobody waits any more: the other journal must not bring the write back when this one has
        // forgotten it. Else this one keeps what it has, and the next start tries again.
        if self.parts.journal.flush().await.is_ok() {
            self.parts.letters.confirm(&places);
        }
        Ok(())
    }
}

/// Takes an append back that did not come to its end.
struct Withdrawn<'a> {
    behind: &'a Behind,
    cell: &'a LaneCell,
    ticket: Option<u64>,
}

impl Withdrawn<'_> {
    fn keep(mut self) {
        self.ticket = None;
    }
}

impl Drop for Withdrawn<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.cell.state.lock().withdraw(ticket);
            self.cell.due.notify_one();
            self.behind.note_change();
        }
    }
}
