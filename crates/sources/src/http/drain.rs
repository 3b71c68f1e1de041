// SPDX-License-Identifier: MIT OR Apache-2.0
//! Brings accepted writes to a service, one request each.
//!
//! A service keeps no watermark of ours, so nothing there tells how far a lane was applied or who owns it: the journal
//! says what is pending, and the lock on its folder is the ownership (`claim` therefore holds every lane for whoever
//! asks). A write is applied once as far as the service remembers idempotency keys: every try of a write carries the
//! same, and no other write has it. A service that knows none applies a write again whose answer was lost; with `PUT`
//! and `DELETE`, which replace the whole record, that does no harm unless somebody else wrote in between.

use bytes::Bytes;
use throughline_core::{
    Applied, BoxFuture, Claim, Condition, Drain, DrainBatch, Drained, Error, ErrorKind, Lane, Owner,
    Position, Record, Result, Retry, Target, Undrained, Watermark, Write,
};
use uuid::Uuid;

use super::HttpResource;
use super::body::entity_tag;
use super::config::PutMethod;
use super::deliver::{Delivered, Delivery, Guard, WRITE};
use super::loader::Found;

/// For how long a service may be still at a request without an answer: longer than any takes that somebody waits for.
const STILL_AT_IT_MS_MAX: u64 = 600_000;

impl HttpResource {
    /// The record as a reader would see it if the service keeps it as it is; `None` for a deletion.
    fn foresee(&self, write: &Write) -> Result<Option<Record>> {
        if let Target::Key(key) = &write.target {
            self.path_of(key)?;
        }
        Ok(self.value_of(&write.change)?.map(Record::from_content))
    }

    async fn apply_write(&self, id: Uuid, write: &Write, unanswered_ms: Option<u64>) -> Result<Applied> {
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
                Ok(self.applied(&delivery, entity_tag(&headers).is_some(), &body))
            }
            // A condition that does not hold may be one that held at an earlier try, whose answer was lost.
            Ok(Delivered::Refused) => late(self.find(key, None).await?, delivery.value.as_ref()),
            Err(error) => Err(judged(error, unanswered_ms)),
        }
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
}

/// A service that is still at an earlier try answers its repetition by 409, which else is final.
fn judged(error: Error, unanswered_ms: Option<u64>) -> Error {
    let may_be_at_it = unanswered_ms.is_some_and(|ms| ms <= STILL_AT_IT_MS_MAX);
    if error.kind() != ErrorKind::Constraint || !may_be_at_it {
        return error;
    }
    let detail = format!("{}; it may be still at the same request", error.detail());
    Error::new(ErrorKind::OutcomeUnknown, WRITE, detail).with_retry(Retry::Unsafe)
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
            match self.apply_write(id, &accepted.write, batch.unanswered_ms).await {
                Ok(applied) => Ok(Drained::Done(vec![applied])),
                Err(error) => Err(Undrained { at: Some(0), error }),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{STILL_AT_IT_MS_MAX, id, judged};
    use std::collections::HashSet;
    use throughline_core::{Error, ErrorKind, Lane, Owner, Position, ResourceName};

    #[test]
    fn a_conflict_is_final_unless_an_earlier_try_may_be_under_way() {
        let kind =
            |unanswered_ms| judged(Error::new(ErrorKind::Constraint, "x", "409"), unanswered_ms).kind();
        assert_eq!(kind(None), ErrorKind::Constraint);
        assert_eq!(kind(Some(0)), ErrorKind::OutcomeUnknown);
        assert_eq!(kind(Some(STILL_AT_IT_MS_MAX)), ErrorKind::OutcomeUnknown);
        assert_eq!(kind(Some(STILL_AT_IT_MS_MAX + 1)), ErrorKind::Constraint);
        assert_eq!(judged(Error::new(ErrorKind::Denied, "x", "403"), Some(0)).kind(), ErrorKind::Denied);
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
