// SPDX-License-Identifier: MIT OR Apache-2.0
//! Accepted writes that are brought to the service later.

use std::sync::Arc;

use throughline_bank::{BankOptions, HangUp};
use throughline_core::{
    AcceptedWrite, Applied, Claim, Condition, Drain as _, DrainBatch, Drained, Error, ErrorKind, Lane, Owner,
    Position, Record, ResourceName, Retry, Undrained, Version, Watermark, Write,
};
use throughline_sources::http::{HttpConfig, HttpMapping, PathTemplate, PutMethod};
use throughline_testkit::TestTasks;

use crate::fixture::{House, delete, put, when};

const TEN: &str = r#"{"amount":10}"#;
const TWENTY: &str = r#"{"amount":20}"#;
const NOTHING_KEPT: Watermark = Watermark { epoch: 0, position: Position(0) };

fn lane() -> Lane {
    Lane { resource: ResourceName::new("payment").unwrap(), number: 0 }
}

fn owner(journal: &str) -> Owner {
    Owner { journal: journal.to_owned(), name: "here".to_owned() }
}

async fn apply(house: &House, position: u64, write: Write) -> Result<Drained, Undrained> {
    apply_by(&house.payment, position, write, None).await
}

async fn apply_by(
    resource: &throughline_sources::http::HttpResource,
    position: u64,
    write: Write,
    unanswered_ms: Option<u64>,
) -> Result<Drained, Undrained> {
    let (lane, owner, to) = (lane(), owner("j"), Position(position));
    let writes = [AcceptedWrite { position: to, write }];
    let (lane, owner, writes) = (&lane, &owner, &writes);
    resource.apply(DrainBatch { lane, owner, from: NOTHING_KEPT, to, writes, unanswered_ms }).await
}

async fn applied(house: &House, position: u64, write: Write) -> Applied {
    match apply(house, position, write).await.unwrap() {
        Drained::Done(all) => all[0],
        other => panic!("{other:?}"),
    }
}

async fn error(house: &House, position: u64, write: Write) -> Error {
    let undrained = apply(house, position, write).await.unwrap_err();
    assert_eq!(undrained.at, Some(0));
    undrained.error
}

#[tokio::test]
async fn every_lane_is_held_by_who_asks_and_begins_where_its_journal_says() {
    let house = House::new().await;
    let lanes = [lane(), Lane { number: 1, ..lane() }];
    for journal in ["a", "b"] {
        let claim = house.payment.claim(&lanes, &owner(journal), false).await.unwrap();
        assert_eq!(claim, Claim::Held(vec![NOTHING_KEPT; 2]));
    }
    house.payment.release(&lanes, &owner("a")).await.unwrap();
    assert_eq!((house.payment.batch_max(), house.bank.counts().connections), (1, 0));
}

#[tokio::test]
async fn a_batch_is_one_write_or_none() {
    let house = House::new().await;
    let (lane, owner) = (lane(), owner("j"));
    let (lane, owner, to, unanswered_ms) = (&lane, &owner, Position(9), None);
    let batch = |writes| DrainBatch { lane, owner, from: NOTHING_KEPT, to, writes, unanswered_ms };
    assert_eq!(house.payment.apply(batch(&[])).await.unwrap(), Drained::Done(Vec::new()));
    let two = [1, 2].map(|at| AcceptedWrite { position: Position(at), write: put("1", TEN) });
    let refused = house.payment.apply(batch(&two)).await.unwrap_err();
    assert_eq!((refused.error.retry(), house.bank.counts().requests), (Retry::Never, 0));
}

#[tokio::test]
async fn a_put_that_the_service_keeps_as_it_is_is_exact() {
    let house = House::new().await;
    assert_eq!(applied(&house, 1, put("1", "{ \"amount\": 10 }")).await, Applied::Exact);
    assert_eq!(house.row("1").as_deref(), Some(TEN));
    assert_eq!(applied(&house, 2, delete("1")).await, Applied::Exact);
    assert_eq!(applied(&house, 3, delete("1")).await, Applied::Exact, "it is gone");
    assert_eq!(house.bank.rows(), []);
    let path = PathTemplate::parse("/payments/{id}").unwrap();
    let mapping = HttpMapping { put: PutMethod::Patch, ..HttpMapping::json(path) };
    let patched = house.source.resource(mapping, Arc::new(TestTasks));
    let done = apply_by(&patched, 4, put("1", TEN), None).await.unwrap();
    assert_eq!(done, Drained::Done(vec![Applied::Changed]), "a patched record may hold more");
}

#[tokio::test]
async fn a_put_without_an_entity_tag_may_have_been_changed() {
    let house = House::with(BankOptions { has_tags: false, ..BankOptions::quick() }, |config| config).await;
    assert_eq!(applied(&house, 1, put("1", TEN)).await, Applied::Changed);
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_applied_once() {
    let house = House::new().await;
    house.bank.hang_up(&[HangUp::AfterSaving, HangUp::BeforeSaving]);
    for (position, id) in [(1, "1"), (2, "2")] {
        let lost = error(&house, position, put(id, TEN)).await;
        assert_eq!((lost.kind(), lost.retry()), (ErrorKind::OutcomeUnknown, Retry::Unsafe));
        assert_eq!(applied(&house, position, put(id, TEN)).await, Applied::Exact);
    }
    let counts = house.bank.counts();
    assert_eq!((counts.saves, counts.repetitions), (2, 1));
}

#[tokio::test]
async fn a_later_write_is_not_taken_for_an_earlier_one() {
    let house = House::new().await;
    for (position, value) in [(1, TEN), (2, TWENTY), (3, TEN)] {
        applied(&house, position, put("1", value)).await;
        assert_eq!(house.row("1").as_deref(), Some(value));
    }
    assert_eq!(house.bank.counts().saves, 3);
}

#[tokio::test]
async fn a_journal_that_is_read_again_after_a_crash_changes_nothing() {
    let house = House::new().await;
    for _ in 0..2 {
        for (position, value) in [(1, TEN), (2, TWENTY)] {
            applied(&house, position, put("1", value)).await;
        }
        assert_eq!(house.row("1").as_deref(), Some(TWENTY));
    }
    assert_eq!((house.bank.counts().saves, house.bank.counts().repetitions), (2, 2));
}

#[tokio::test]
async fn a_repetition_that_meets_the_first_request_still_under_way_is_not_given_up() {
    let options = BankOptions { save_ms: 400, ..BankOptions::quick() };
    let house = House::with(options, |config| HttpConfig { request_timeout_ms: 100, ..config }).await;
    assert_eq!(error(&house, 1, put("1", TEN)).await.kind(), ErrorKind::OutcomeUnknown);
    let again = apply_by(&house.payment, 1, put("1", TEN), Some(100)).await.unwrap_err().error;
    assert_eq!((again.kind(), again.retry()), (ErrorKind::OutcomeUnknown, Retry::Unsafe), "{again}");
    while house.row("1").is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(applied(&house, 1, put("1", TEN)).await, Applied::Exact);
    assert_eq!(house.bank.counts().saves, 1);
}

#[tokio::test]
async fn a_conflict_that_no_earlier_try_explains_is_permanent() {
    let house = House::new().await;
    house.bank.refuse(&[409, 422, 401]);
    for kind in [ErrorKind::Constraint, ErrorKind::InvalidValue, ErrorKind::Denied] {
        let refused = error(&house, 1, put("1", TEN)).await;
        assert_eq!((refused.kind(), refused.retry()), (kind, Retry::Never));
    }
}

#[tokio::test]
async fn a_service_that_declines_says_when_to_come_back() {
    let house = House::new().await;
    house.bank.decline_for_ms(7_000);
    let declined = error(&house, 1, put("1", TEN)).await;
    assert_eq!((declined.kind(), declined.retry()), (ErrorKind::Unavailable, Retry::Safe));
    assert_eq!(declined.retry_after_ms(), Some(7_000));
    house.bank.decline_for_ms(0);
    assert_eq!(applied(&house, 1, put("1", TEN)).await, Applied::Exact);
}

#[tokio::test]
async fn a_condition_that_does_not_hold_leaves_the_record_as_somebody_else_left_it() {
    let house = House::new().await;
    house.bank.save("/payments/1", TEN);
    for condition in [Condition::Absent, Condition::Unchanged(vec![Version(1)])] {
        let refused = error(&house, 1, when(condition, put("1", TWENTY))).await;
        assert_eq!((refused.kind(), refused.retry()), (ErrorKind::Constraint, Retry::Never));
    }
    let refused = error(&house, 2, when(Condition::Present, put("2", TWENTY))).await;
    assert_eq!(refused.kind(), ErrorKind::Constraint);
    assert_eq!((house.row("1").as_deref(), house.row("2")), (Some(TEN), None));
    let version = house.load("1").await.unwrap().record.unwrap().version;
    let unchanged = when(Condition::Unchanged(vec![version]), put("1", TWENTY));
    assert_eq!(applied(&house, 3, unchanged).await, Applied::Exact);
}

#[tokio::test]
async fn a_conditional_write_whose_answer_was_lost_is_found_to_have_taken_place() {
    for remembers in [true, false] {
        let house = House::with(BankOptions { remembers, ..BankOptions::quick() }, |config| config).await;
        house.bank.save("/payments/2", TEN);
        let version = house.load("2").await.unwrap().record.unwrap().version;
        let absent = when(Condition::Absent, put("1", TEN));
        let unchanged = when(Condition::Unchanged(vec![version]), put("2", TWENTY));
        let present = when(Condition::Present, delete("2"));
        for (position, write) in [(1, absent), (2, unchanged), (3, present)] {
            house.bank.hang_up(&[HangUp::AfterSaving]);
            assert_eq!(error(&house, position, write.clone()).await.kind(), ErrorKind::OutcomeUnknown);
            assert_eq!(applied(&house, position, write).await, Applied::Exact, "{position} {remembers}");
        }
        assert_eq!(house.bank.counts().saves, 3);
    }
}

#[tokio::test]
async fn what_can_be_known_to_be_wrong_is_found_before_it_is_accepted() {
    let house = House::new().await;
    let kind = |write: Write| house.payment.check(&write).map_err(|error| error.kind());
    assert_eq!(kind(put("1", TEN)), Ok(Some(Record::from_content(TEN))), "what readers see meanwhile");
    assert_eq!(kind(delete("1")), Ok(None));
    assert_eq!(kind(put("1:2", TEN)), Err(ErrorKind::InvalidKey));
    assert_eq!(kind(put("..", TEN)), Err(ErrorKind::InvalidKey));
    assert_eq!(kind(put("1", "[]")), Err(ErrorKind::InvalidValue));
    assert_eq!(house.bank.counts().connections, 0);
}
