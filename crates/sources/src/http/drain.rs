// SPDX-License-Identifier: MIT OR Apache-2.0
//! Brings accepted writes to a service, one request each.
//!
//! A service keeps no watermark of ours, so nothing there tells how far a lane was applied or who owns it: the journal
//! says what is pending, and the lock on its folder is the ownership (`claim` therefore holds every lane for whoever
//! asks). A write is applied once as far as the service remembers idempotency keys: every try of a write carries the
//! same, and no other write has it. A service that knows none applies a write again whose answer was lost; with `PUT`
//! and `DELETE`, which replace the whole record, that does no harm unless somebody else wrote in between.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use throughline_core::{
    Applied, BoxFuture, Claim, Condition, Drain, DrainBatch, Drained, Error, ErrorKind, Key, Lane, Owner,
    Position, Record, Result, Retry, Target, Tick, Undrained, Watermark, Write,
};
use uuid::Uuid;

use super::HttpResource;
use super::body::entity_tag;
use super::config::PutMethod;
use super::deliver::{Delivered, Delivery, Guard, WRITE};
use super::loader::Found;

/// How many requests without an answer are remembered, and for how long a service may be still at one: longer than
/// any request takes that somebody waits for.
const UNANSWERED_MAX: usize = 1_024;
const STILL_AT_IT_MS_MAX: u64 = 600_000;

/// Requests whose outcome is unknown. A service that is still at one answers its repetition by 409, which else
/// is final.
#[derive(Clone, Debug, Default)]
pub(super) struct Unanswered(Arc<Mutex<VecDeque<(Uuid, Tick)>>>);

impl Unanswered {
    fn note(&self, id: Uuid, now: Tick) {
        self.forget(id);
        let mut unanswered = self.0.lock();
        if unanswered.len() == UNANSWERED_MAX {
            unanswered.pop_front();
        }
        unanswered.push_back((id, now));
    }

    fn forget(&self, id: Uuid) {
        self.0.lock().retain(|(known, _)| *known != id);
    }

    /// Whether a 409 may mean that the service is still at this request.
    fn may_be_under_way(&self, id: Uuid, now: Tick) -> bool {
        let is_it =
            |(known, since): &(Uuid, Tick)| *known == id && now.ms_since(*since) <= STILL_AT_IT_MS_MAX;
        self.0.lock().iter().any(is_it)
    }
}

impl HttpResource {
    /// The record as a reader would see it if the service keeps it as it is; `None` for a deletion.
    fn foresee(&self, write: &Write) -> Result<Option<Record>> {
        if let Target::Key(key) = &write.target {
            self.path_of(key)?;
        }
        Ok(self.value_of(&write.change)?.map(Record::from_content))
    }

    async fn apply_write(&self, id: Uuid, write: &Write) -> Result<Applied> {
        let Target::Key(key) = &write.target else {
            return Err(Error::new(ErrorKind::InvalidKey, WRITE, "an accepted write needs its key"));
        };
        let value = self.value_of(&write.change)?;
        let guard = match &write.condition {
            Condition::Always => Guard::Open,
            Condition::Absent => Guard::Absent,
            Condition::Present => Guard::Present,
            Condition::Unchanged(versions) => match self.find(key, None).await? {
                Some(Found { record, entity_tag: Some(tag) }) if versions.contains(&record.version) => {
                    Guard::Unchanged(tag)
                }
                Some(Found { record, entity_tag: None }) if versions.contains(&record.version) => {
                    Guard::Present
                }
                found => return late(found, value.as_ref()),
            },
        };
        let delivery = Delivery { key: key.clone(), value, guard, id };
        match self.deliver(&delivery).await {
            Ok(Delivered::Done(headers, body)) => {
                self.unanswered.forget(id);
                Ok(self.applied(&delivery, entity_tag(&headers).is_some(), &body))
            }
            Ok(Delivered::Refused) => self.look_again(key, &delivery).await,
            Err(error) => Err(self.noted(id, error)),
        }
    }

    /// A condition that does not hold may be one that held at an earlier try, whose answer was lost.
    async fn look_again(&self, key: &Key, delivery: &Delivery) -> Result<Applied> {
        let applied = late(self.find(key, None).await?, delivery.value.as_ref())?;
        self.unanswered.forget(delivery.id);
        Ok(applied)
    }

    /// Whether a reader will see exactly what was sent: the service says so by an entity tag in answer to a PUT
    /// (RFC 9110, 9.3.4), or it answers with the record.
    fn applied(&self, delivery: &Delivery, has_tag: bool, body: &Bytes) -> Applied {
        let Some(value) = &delivery.value else { return Applied::Exact };
        let is_same =
            self.mapping.format.sent(WRITE, body).is_ok_and(|seen| !seen.is_empty() && seen == *value);
        let says_so = has_tag && self.mapping.put == PutMethod::Put;
        if is_same || (says_so && body.is_empty()) { Applied::Exact } else { Applied::Changed }
    }

    fn noted(&self, id: Uuid, error: Error) -> Error {
        if error.kind() == ErrorKind::OutcomeUnknown {
            self.unanswered.note(id, self.client.now());
        } else if error.kind() == ErrorKind::Constraint
            && self.unanswered.may_be_under_way(id, self.client.now())
        {
            let detail = format!("{}; it may be still at the same request", error.detail());
            return Error::new(ErrorKind::OutcomeUnknown, WRITE, detail).with_retry(Retry::Unsafe);
        }
        error
    }
}

/// What became of a write whose condition does not hold (any more): if the record is as the write says, it took place.
///
/// # Errors
/// [`ErrorKind::Constraint`] otherwise.
fn late(found: Option<Found>, value: Option<&Bytes>) -> Result<Applied> {
    match (found, value) {
        (Some(found), Some(value)) if found.record.value == *value => Ok(Applied::Exact),
        (None, None) => Ok(Applied::Exact),
        _ => {
            let detail = "the record was changed by others since the write was accepted";
            Err(Error::new(ErrorKind::Constraint, WRITE, detail))
        }
    }
}

/// The idempotency key of a write: the same for every try, different for any other write.
fn id(owner: &Owner, lane: &Lane, position: Position) -> Uuid {
    let mut hasher = blake3::Hasher::new();
    for part in [owner.journal.as_str(), lane.resource.as_str()] {
        // With its length, so that no two different pairs run together into one text.
        hasher.update(&(part.len() as u64).to_be_bytes()).update(part.as_bytes());
    }
    hasher.update(&lane.number.to_be_bytes()).update(&position.0.to_be_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    // Version 8: made by a rule of one's own. Services that want a uuid get one.
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    Uuid::from_bytes(bytes)
}

impl Drain for HttpResource {
    fn batch_max(&self) -> usize {
        1
    }

    fn check(&self, write: &Write) -> Result<Option<Record>> {
        self.foresee(write)
    }

    fn claim<'a>(
        &'a self,
        lanes: &'a [Lane],
        _owner: &'a Owner,
        _by_force: bool,
    ) -> BoxFuture<'a, Result<Claim>> {
        let nothing_kept = Watermark { epoch: 0, position: Position(0) };
        Box::pin(std::future::ready(Ok(Claim::Held(vec![nothing_kept; lanes.len()]))))
    }

    fn release<'a>(&'a self, _lanes: &'a [Lane], _owner: &'a Owner) -> BoxFuture<'a, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn apply<'a>(&'a self, batch: DrainBatch<'a>) -> BoxFuture<'a, std::result::Result<Drained, Undrained>> {
        Box::pin(async move {
            let accepted = match batch.writes {
                [] => return Ok(Drained::Done(Vec::new())),
                [accepted] => accepted,
                more => {
                    let detail = format!("{} writes in one batch, but a request is one write", more.len());
                    return Err(Undrained { at: None, error: Error::new(ErrorKind::Other, WRITE, detail) });
                }
            };
            let id = id(batch.owner, batch.lane, accepted.position);
            match self.apply_write(id, &accepted.write).await {
                Ok(applied) => Ok(Drained::Done(vec![applied])),
                Err(error) => Err(Undrained { at: Some(0), error }),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{STILL_AT_IT_MS_MAX, UNANSWERED_MAX, Unanswered, id};
    use std::collections::HashSet;
    use throughline_core::{Lane, Owner, Position, ResourceName, Tick};
    use uuid::Uuid;

    #[test]
    fn a_request_without_an_answer_is_remembered_for_a_while() {
        let (unanswered, one) = (Unanswered::default(), Uuid::from_u128(1));
        let at = Tick::from_ms;
        assert!(!unanswered.may_be_under_way(one, at(0)));
        unanswered.note(one, at(5));
        assert!(unanswered.may_be_under_way(one, at(5 + STILL_AT_IT_MS_MAX)));
        assert!(!unanswered.may_be_under_way(one, at(6 + STILL_AT_IT_MS_MAX)));
        unanswered.note(one, at(9));
        assert!(unanswered.may_be_under_way(one, at(6 + STILL_AT_IT_MS_MAX)));
        for other in 0..UNANSWERED_MAX as u128 {
            unanswered.note(Uuid::from_u128(other + 2), at(9));
        }
        assert!(!unanswered.may_be_under_way(one, at(9)), "the oldest makes room");
        assert_eq!(unanswered.0.lock().len(), UNANSWERED_MAX);
    }

    #[test]
    fn every_write_has_an_idempotency_key_of_its_own_which_stays() {
        let of = |journal: &str, resource: &str, number, position| {
            let owner = Owner { journal: journal.to_owned(), name: "any".to_owned() };
            id(&owner, &Lane { resource: ResourceName::new(resource).unwrap(), number }, Position(position))
        };
        let all = [
            of("j", "payment", 0, 1),
            of("j", "payment", 0, 2),
            of("j", "payment", 1, 1),
            of("j", "paymen", 0, 1),
            of("jp", "ayment", 0, 1),
            of("k", "payment", 0, 1),
        ];
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
        assert_eq!(of("j", "payment", 0, 1), all[0]);
        assert_eq!(all[0].get_version_num(), 8);
    }
}
