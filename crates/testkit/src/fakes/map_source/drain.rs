// SPDX-License-Identifier: MIT OR Apache-2.0
//! Accepted writes, applied to the map in batches, each once.

use std::collections::{HashMap, HashSet};

use throughline_core::{
    AcceptedWrite, Applied, BoxFuture, Change, Claim, Condition, Drain, DrainBatch, Drained, Error,
    ErrorKind, Key, Lane, Owner, Position, Record, Result, Undrained, Watermark, Write,
};

use super::MapSource;

/// What a database keeps in a table of ours.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: HashMap<String, (Option<Owner>, Watermark)>,
    /// Every write that was applied, in order.
    applied: Vec<(Key, Position)>,
    batch_sizes: Vec<usize>,
    /// What is stored in place of what was written, as a trigger would.
    rewriting: Option<(String, String)>,
    /// Whether no watermark is kept, as by a service over HTTP, which knows a write by who gives it and its place.
    forgets_lanes: bool,
    known: HashSet<(String, Position)>,
    /// Whether the next write is still under way when it is given up, and those that are.
    lingers_next: bool,
    lingering: Vec<Lingering>,
}

/// A write that a service is still at.
#[derive(Debug)]
struct Lingering {
    id: (String, Position),
    key: Key,
    change: Change,
}

impl MapSource {
    /// Every accepted write that was applied, in order.
    pub fn applied(&self) -> Vec<(Key, Position)> {
        self.state().lanes.applied.clone()
    }

    /// How many writes each batch had.
    pub fn batch_sizes(&self) -> Vec<usize> {
        self.state().lanes.batch_sizes.clone()
    }

    /// Stores `stored` where an accepted write says `written`.
    pub fn rewrite(&self, written: &str, stored: &str) {
        self.state().lanes.rewriting = Some((written.to_owned(), stored.to_owned()));
    }

    /// Keeps no watermark from now on, and takes one write at a time.
    pub fn forget_lanes(&self) {
        self.state().lanes.forgets_lanes = true;
    }

    /// Leaves the next accepted write without an answer, and under way until [`MapSource::finish_lingering`].
    pub fn linger_next(&self) {
        self.state().lanes.lingers_next = true;
    }

    /// Forgets which writes it was given.
    pub fn forget_requests(&self) {
        self.state().lanes.known.clear();
    }

    /// Does what is still under way; whether something was.
    pub fn finish_lingering(&self) -> bool {
        let mut state = self.state();
        let lingering = std::mem::take(&mut state.lanes.lingering);
        let had_some = !lingering.is_empty();
        for Lingering { id, key, change } in lingering {
            state.lanes.applied.push((key.clone(), id.1));
            state.lanes.known.insert(id);
            state.store(key, &change);
        }
        had_some
    }

    /// As a service does it that keeps nothing of ours.
    fn apply_request(&self, batch: DrainBatch<'_>) -> std::result::Result<Drained, Undrained> {
        let [AcceptedWrite { position, write }] = batch.writes else {
            return Ok(Drained::Done(Vec::new()));
        };
        let failure = |kind| {
            let error = Error::new(kind, "apply an accepted write", "planted");
            Undrained { at: Some(0), error }
        };
        self.check("apply an accepted write").map_err(|error| Undrained { at: Some(0), error })?;
        if let Change::Put { value, .. } = &write.change {
            self.check_value(value).map_err(|error| Undrained { at: Some(0), error })?;
        }
        let mut state = self.state();
        let id = (batch.owner.journal.clone(), *position);
        let key = batch.writes[0].key().cloned().expect("accepted writes have keys");
        if state.lanes.lingering.iter().any(|lingering| lingering.id == id) {
            // A service says that it is still at it; who does not know that it was asked before takes that for a refusal.
            let kind =
                if batch.unanswered_ms.is_some() { ErrorKind::OutcomeUnknown } else { ErrorKind::Constraint };
            return Err(failure(kind));
        }
        if state.lanes.known.contains(&id) {
            return Ok(Drained::Done(vec![Applied::Exact]));
        }
        if std::mem::take(&mut state.lanes.lingers_next) {
            state.lanes.lingering.push(Lingering { id, key, change: write.change.clone() });
            return Err(failure(ErrorKind::OutcomeUnknown));
        }
        let planted = state.next_commit.take();
        let mut applied = Applied::Exact;
        if planted.is_none_or(|(_, is_applied)| is_applied) {
            state.lanes.known.insert(id);
            state.lanes.applied.push((key.clone(), *position));
            applied = state.store(key, &write.change);
        }
        planted.map_or(Ok(Drained::Done(vec![applied])), |(kind, _)| Err(failure(kind)))
    }

    fn apply_batch(&self, batch: DrainBatch<'_>) -> std::result::Result<Drained, Undrained> {
        let of_batch = |error| Undrained { at: None, error };
        self.check("apply accepted writes").map_err(of_batch)?;
        for (place, accepted) in batch.writes.iter().enumerate() {
            if let Change::Put { value, .. } = &accepted.write.change {
                // As a bulk statement, it does not say which.
                let at = (batch.writes.len() == 1).then_some(place);
                self.check_value(value).map_err(|error| Undrained { at, error })?;
            }
        }
        let mut state = self.state();
        let name = batch.lane.to_string();
        let (owner, watermark) = state.lanes.lanes.entry(name.clone()).or_default();
        match owner {
            Some(owner) if owner.journal == batch.owner.journal => {}
            Some(owner) => return Ok(Drained::Taken(owner.clone())),
            None => return Ok(Drained::Taken(Owner { journal: String::new(), name: "nobody".to_owned() })),
        }
        if *watermark != batch.from {
            return Ok(Drained::Already(*watermark));
        }
        for (place, accepted) in batch.writes.iter().enumerate() {
            let row = accepted.key().and_then(|key| state.rows.get(key));
            let holds = match (&accepted.write.condition, row) {
                (Condition::Absent, Some(_)) | (Condition::Present | Condition::Unchanged(_), None) => false,
                (Condition::Unchanged(versions), Some(row)) => versions.contains(&row.version),
                _ => true,
            };
            if !holds {
                let detail = "the row was changed by others since the write was accepted";
                let error = Error::new(ErrorKind::Constraint, "apply an accepted write", detail);
                return Err(Undrained { at: Some(place), error });
            }
        }
        let planted = state.next_commit.take();
        let mut outcome = Vec::with_capacity(batch.writes.len());
        if planted.is_none_or(|(_, applied)| applied) {
            state.lanes.batch_sizes.push(batch.writes.len());
            for accepted in batch.writes {
                let Some(key) = accepted.key().cloned() else { continue };
                state.lanes.applied.push((key.clone(), accepted.position));
                outcome.push(state.store(key, &accepted.write.change));
            }
            if let Some((_, watermark)) = state.lanes.lanes.get_mut(&name) {
                watermark.position = batch.to;
            }
        }
        match planted {
            Some((kind, _)) => Err(of_batch(Error::new(kind, "commit a batch", "planted"))),
            None => Ok(Drained::Done(outcome)),
        }
    }
}

impl super::State {
    fn store(&mut self, key: Key, change: &Change) -> Applied {
        let Change::Put { value, flags } = change else {
            self.rows.remove(&key);
            return Applied::Exact;
        };
        let rewriting = self.lanes.rewriting.as_ref().filter(|(written, _)| written.as_bytes() == value);
        let stored = rewriting.map_or_else(|| value.clone(), |(_, stored)| stored.clone().into());
        let is_exact = stored == *value;
        self.rows.insert(key, Record { flags: *flags, ..Record::from_content(stored) });
        if is_exact { Applied::Exact } else { Applied::Changed }
    }
}

impl Drain for MapSource {
    fn batch_max(&self) -> usize {
        if self.state().lanes.forgets_lanes { 1 } else { 500 }
    }

    fn check(&self, write: &Write) -> Result<Option<Record>> {
        Ok(match &write.change {
            Change::Put { value, flags } => {
                Some(Record { flags: *flags, ..Record::from_content(value.clone()) })
            }
            Change::Delete => None,
        })
    }

    fn claim<'a>(
        &'a self,
        lanes: &'a [Lane],
        owner: &'a Owner,
        by_force: bool,
    ) -> BoxFuture<'a, Result<Claim>> {
        Box::pin(async move {
            self.check("claim lanes")?;
            let mut state = self.state();
            if state.lanes.forgets_lanes {
                return Ok(Claim::Held(vec![Watermark::default(); lanes.len()]));
            }
            let taken = lanes.iter().find_map(|lane| {
                let holder = state.lanes.lanes.get(&lane.to_string())?.0.as_ref()?;
                (holder.journal != owner.journal && !by_force).then(|| holder.clone())
            });
            if let Some(holder) = taken {
                return Ok(Claim::Taken(holder));
            }
            let claim = |lane: &Lane| {
                let (holder, watermark) = state.lanes.lanes.entry(lane.to_string()).or_default();
                *holder = Some(owner.clone());
                watermark.epoch += 1;
                *watermark
            };
            Ok(Claim::Held(lanes.iter().map(claim).collect()))
        })
    }

    fn release<'a>(&'a self, lanes: &'a [Lane], owner: &'a Owner) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let mut state = self.state();
            for lane in lanes {
                if let Some((holder, _)) = state.lanes.lanes.get_mut(&lane.to_string()) {
                    holder.take_if(|holder| holder.journal == owner.journal);
                }
            }
            Ok(())
        })
    }

    fn apply<'a>(&'a self, batch: DrainBatch<'a>) -> BoxFuture<'a, std::result::Result<Drained, Undrained>> {
        Box::pin(async move {
            // A real one waits for its server.
            tokio::task::yield_now().await;
            let forgets_lanes = self.state().lanes.forgets_lanes;
            if forgets_lanes { self.apply_request(batch) } else { self.apply_batch(batch) }
        })
    }
}
