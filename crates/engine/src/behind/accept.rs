// SPDX-License-Identifier: MIT OR Apache-2.0
//! The writer's side: conditions are decided by what was accepted before, else by the source; the commit is the journal's.

use std::sync::Arc;

use bytes::Bytes;
use throughline_core::{
    BoxFuture, Change, Condition, Effect, Error, ErrorKind, Intent, Key, Position, Prepared, Record, Refusal,
    Result, Retry, Sent, Target, Write, WriteReceipt, Writer,
};
use tokio::sync::oneshot;

use super::lane::LaneState;
use super::record::Kept;
use super::{Behind, OnConflict, lane_of};

const OPERATION: &str = "accept a write";

/// The writer of a resource that is written behind.
#[derive(Clone, Debug)]
struct BehindWriter(Arc<Behind>);

impl Behind {
    /// The writer's side.
    pub fn writer(self: &Arc<Self>) -> Arc<dyn Writer> {
        Arc::new(BehindWriter(self.clone()))
    }

    /// Takes a key for a writer, as a source locks its row.
    pub(super) async fn lock(self: &Arc<Self>, key: &Key) -> Result<KeyLock> {
        let cell = self.cell(key);
        loop {
            let freed = cell.free.notified();
            {
                let mut state = cell.state.lock();
                if let Some(owner) = &state.lost {
                    return Err(self.lost(owner));
                }
                if state.take_key(key) {
                    return Ok(KeyLock { behind: self.clone(), key: key.clone() });
                }
            }
            freed.await;
        }
    }

    /// A write as the journals hold it.
    pub(super) fn kept(&self, key: &Key, write: Write, accepted_ms: u64) -> Kept {
        let resource = self.parts.resource.as_str().to_owned();
        Kept { resource, lane: lane_of(key), key: key.clone(), write, accepted_ms }
    }

    /// Begins to append a write, whose lane is `state`: its ticket there, and what waits for the disk.
    pub(super) fn append(
        &self,
        state: &mut LaneState,
        kept: Kept,
    ) -> (u64, BoxFuture<'static, Result<Position>>) {
        let append = self.parts.journal.append(kept.encode());
        (state.begin(kept.key, kept.write, kept.accepted_ms), append)
    }

    /// What the key's record is, for a condition: what was accepted, else the source's.
    async fn present(&self, key: &Key) -> Result<Present> {
        let shown =
            self.cell(key).state.lock().shown(key).map(|(position, record)| (position, record.clone()));
        if let Some((position, record)) = shown {
            // A dead letter is what readers see, and says nothing about the row any more.
            let is_letter = self.letters.lock().get(position).is_some();
            let row = match self.parts.policy.on_conflict {
                OnConflict::DeadLetter if is_letter => Some(self.row(key).await?),
                _ => None,
            };
            return Ok(Present { record, row });
        }
        let row = self.row(key).await?;
        Ok(Present { record: row.clone(), row: Some(row) })
    }

    /// The condition of a write that is to be judged by the row as it is now.
    ///
    /// # Errors
    /// Those of a load.
    pub(super) async fn condition_of_now(&self, key: &Key) -> Result<Condition> {
        match self.parts.policy.on_conflict {
            OnConflict::Overwrite => Ok(Condition::Always),
            on_conflict @ OnConflict::DeadLetter => {
                let row = Some(self.row(key).await?);
                Ok(base(on_conflict, Some(&Present { record: None, row })))
            }
        }
    }

    /// What the source has now.
    async fn row(&self, key: &Key) -> Result<Option<Record>> {
        let intent = Intent { fill: false, sent: Sent::new() };
        Ok(self.parts.loader.load(key, intent).await?.record)
    }
}

/// A record before a write.
struct Present {
    /// As readers see it.
    record: Option<Record>,
    /// The row, unless a write of ours is to be applied first.
    row: Option<Option<Record>>,
}

/// A key that is being written: nobody may fill its entry.
#[derive(Debug)]
pub(super) struct KeyLock {
    behind: Arc<Behind>,
    key: Key,
}

impl Drop for KeyLock {
    fn drop(&mut self) {
        let cell = self.behind.cell(&self.key);
        cell.state.lock().give_key(&self.key);
        cell.free.notify_waiters();
    }
}

impl Writer for BehindWriter {
    fn prepare<'a>(&'a self, writes: &'a [Write]) -> BoxFuture<'a, Result<Box<dyn Prepared>>> {
        Box::pin(async move { Ok(Box::new(prepare(&self.0, writes).await?) as Box<dyn Prepared>) })
    }
}

async fn prepare(behind: &Arc<Behind>, writes: &[Write]) -> Result<Accepting> {
    let [Write { target: Target::Key(named), .. }, ..] = writes else {
        let detail =
            "resources that are written behind take no records without a key: give it one of your own";
        return Err(Error::new(ErrorKind::InvalidKey, OPERATION, detail));
    };
    if writes.iter().any(|write| write.target != Target::Key(named.clone())) {
        let detail = "accepted writes are not parts of transactions";
        return Err(Error::new(ErrorKind::InvalidKey, OPERATION, detail));
    }
    let records = writes.iter().map(|write| behind.parts.drain.check(write)).collect::<Result<Vec<_>>>()?;
    let key = behind.parts.loader.canonical(named)?.of(named);
    let lock = behind.lock(&key).await?;
    let asks = |write: &Write| write.condition != Condition::Always;
    let must_know = behind.parts.policy.on_conflict == OnConflict::DeadLetter || writes.iter().any(asks);
    let mut present = if must_know { Some(behind.present(&key).await?) } else { None };
    let (mut effects, mut accepted) = (Vec::with_capacity(writes.len()), Vec::with_capacity(writes.len()));
    for (write, record) in writes.iter().zip(records) {
        let refusal = present.as_ref().and_then(|present| refusal(&write.condition, present.record.as_ref()));
        if let Some(refusal) = refusal {
            effects.push(Effect::Refused(refusal));
            continue;
        }
        let condition = base(behind.parts.policy.on_conflict, present.as_ref());
        let (change, record) = owned(&write.change, record);
        if present.is_some() {
            present = Some(Present { record: record.clone(), row: None });
        }
        let receipt = WriteReceipt::default();
        effects.push(Effect::Accepted { key: key.clone(), record: record.clone(), receipt: receipt.clone() });
        let write = Write { target: Target::Key(key.clone()), change, condition };
        accepted.push(Acceptable { write, record, receipt });
    }
    Ok(Accepting { lock, effects, accepted })
}

/// The change and its record with bytes of their own, the same ones if they are equal: what a door gives is a piece of a
/// buffer that may be far larger, and it is kept until it is applied.
fn owned(change: &Change, record: Option<Record>) -> (Change, Option<Record>) {
    let Change::Put { value, flags } = change else { return (Change::Delete, record) };
    let value = Bytes::copy_from_slice(value);
    let record = record.map(|record| Record {
        value: if record.value == value { value.clone() } else { Bytes::copy_from_slice(&record.value) },
        ..record
    });
    (Change::Put { value, flags: *flags }, record)
}

/// Why a condition does not hold.
fn refusal(condition: &Condition, present: Option<&Record>) -> Option<Refusal> {
    match (condition, present) {
        (Condition::Absent, Some(_)) => Some(Refusal::Exists),
        (Condition::Present | Condition::Unchanged(_), None) => Some(Refusal::Absent),
        (Condition::Unchanged(versions), Some(record)) if !versions.contains(&record.version) => {
            Some(Refusal::Conflict(record.version))
        }
        _ => None,
    }
}

/// The condition under which the write is applied later: if others are not to be overwritten, that the row is as it was.
/// After a write of ours the row is what that one made of it, which is judged by its own condition.
fn base(on_conflict: OnConflict, present: Option<&Present>) -> Condition {
    let row = present.and_then(|present| present.row.as_ref());
    match (on_conflict, row) {
        (OnConflict::DeadLetter, Some(Some(row))) => Condition::Unchanged(vec![row.version]),
        (OnConflict::DeadLetter, Some(None)) => Condition::Absent,
        _ => Condition::Always,
    }
}

/// A write that may be accepted.
#[derive(Debug)]
struct Acceptable {
    write: Write,
    record: Option<Record>,
    receipt: WriteReceipt,
}

/// Writes of one key before they are journalled.
#[derive(Debug)]
struct Accepting {
    lock: KeyLock,
    effects: Vec<Effect>,
    accepted: Vec<Acceptable>,
}

impl Prepared for Accepting {
    fn effects(&self) -> &[Effect] {
        &self.effects
    }

    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        let Self { lock, accepted, .. } = *self;
        let (tell, told) = oneshot::channel();
        let behind = lock.behind.clone();
        Box::pin(async move {
            // A task, so that the journal and the overlay agree even if nobody waits.
            let task = async move {
                let outcome = keep(&lock, accepted).await;
                // The key is free before the answer: the next write of the same client must not find it taken.
                drop(lock);
                let _ = tell.send(outcome);
            };
            behind.parts.tasks.spawn("keep an accepted write", Box::pin(task));
            told.await.unwrap_or_else(|_| {
                let detail = "the program shut down while the write was being kept";
                Err(Error::new(ErrorKind::OutcomeUnknown, OPERATION, detail))
            })
        })
    }

    fn roll_back(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(async { Ok(()) })
    }
}

/// Journals writes in their order, and shows them when all are safe.
async fn keep(lock: &KeyLock, accepted: Vec<Acceptable>) -> Result<()> {
    let behind = &lock.behind;
    let cell = behind.cell(&lock.key);
    let accepted_ms = behind.parts.wall.now().as_ms();
    // The lane knows of each append before the next one is made, in the order of the journal.
    let appends: Vec<_> = {
        let mut state = cell.state.lock();
        let begin = |acceptable: &Acceptable| {
            behind.append(&mut state, behind.kept(&lock.key, acceptable.write.clone(), accepted_ms))
        };
        accepted.iter().map(begin).collect()
    };
    let mut outcomes = Vec::with_capacity(appends.len());
    for (ticket, append) in appends {
        outcomes.push((ticket, append.await));
    }
    let failures = || outcomes.iter().filter_map(|(_, outcome)| outcome.as_ref().err());
    // That one of them may be kept is what all must know.
    let unknown = failures().find(|error| error.kind() == ErrorKind::OutcomeUnknown);
    let failure = unknown.or_else(|| failures().next()).cloned();
    let Some(failure) = failure else {
        show(lock, outcomes, accepted);
        return Ok(());
    };
    // None was kept, as far as the callers are told.
    let kept = withdraw(lock, outcomes);
    if failure.kind() == ErrorKind::OutcomeUnknown {
        return Err(failure);
    }
    if !kept.is_empty() {
        behind.parts.journal.confirm(&kept);
        if let Err(error) = behind.parts.journal.flush().await {
            let detail = format!("some of the writes that were made together may be kept: {error}");
            return Err(Error::new(ErrorKind::OutcomeUnknown, OPERATION, detail));
        }
    }
    Err(failure.with_retry(Retry::Safe))
}

type Appended = (u64, Result<Position>);

/// Shows what is safe.
fn show(lock: &KeyLock, outcomes: Vec<Appended>, accepted: Vec<Acceptable>) {
    let behind = &lock.behind;
    let cell = behind.cell(&lock.key);
    let mut state = cell.state.lock();
    // The drain looks at the oldest, at how many there are, and at what it was asked; waking it for anything else only costs.
    let mut is_due = state.is_asked() || state.len() >= behind.parts.policy.count_max;
    for ((ticket, outcome), acceptable) in outcomes.into_iter().zip(accepted) {
        let position = outcome.expect("nothing failed");
        acceptable.receipt.set(position);
        is_due |= state.accept(ticket, position, acceptable.record);
        behind.note_position(position);
        behind.stats.accepted.add(1);
    }
    drop(state);
    if is_due {
        cell.due.notify_one();
    }
}

/// Takes everything back; what is in the journal nevertheless.
fn withdraw(lock: &KeyLock, outcomes: Vec<Appended>) -> Vec<Position> {
    let cell = lock.behind.cell(&lock.key);
    let mut state = cell.state.lock();
    let mut kept = Vec::new();
    for (ticket, outcome) in outcomes {
        state.withdraw(ticket);
        kept.extend(outcome);
    }
    drop(state);
    cell.due.notify_one();
    lock.behind.note_change();
    kept
}
