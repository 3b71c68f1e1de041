// SPDX-License-Identifier: MIT OR Apache-2.0
//! What writes do at the service, and what is said of them.

use std::sync::Arc;
use std::time::Duration;

use throughline_bank::{BankOptions, HangUp};
use throughline_core::{Condition, Effect, ErrorKind, Refusal, Retry, Target, Version, Write, Writer as _};
use throughline_sources::http::{HttpConfig, HttpMapping, PathTemplate, PutMethod};
use throughline_testkit::TestTasks;

use crate::fixture::{House, delete, key, put, resource, when};

const TEN: &str = r#"{"amount":10}"#;
const TWENTY: &str = r#"{"amount":20}"#;

fn stored(id: &str, created: bool) -> Effect {
    Effect::Stored { key: key(id), record: None, created }
}

#[tokio::test]
async fn nothing_is_sent_before_the_commit() {
    let house = House::new().await;
    let prepared = house.payment.prepare(&[put("1", TEN)]).await.unwrap();
    assert_eq!(prepared.effects(), [stored("1", false)]);
    assert_eq!(house.bank.counts().requests, 0);
    prepared.commit().await.unwrap();
    assert_eq!(house.row("1").as_deref(), Some(TEN));
    house.payment.prepare(&[put("1", TWENTY)]).await.unwrap().roll_back().await.unwrap();
    drop(house.payment.prepare(&[put("1", TWENTY)]).await.unwrap());
    assert_eq!(house.bank.counts().requests, 1);
}

#[tokio::test]
async fn conditions_are_decided_before_the_commit() {
    let house = House::new().await;
    let absent = |value| when(Condition::Absent, put("1", value));
    assert_eq!(
        house.write(when(Condition::Present, put("1", TEN))).await.unwrap(),
        Effect::Refused(Refusal::Absent)
    );
    assert_eq!(house.write(absent(TEN)).await.unwrap(), stored("1", true));
    assert_eq!(house.write(absent(TWENTY)).await.unwrap(), Effect::Refused(Refusal::Exists));
    let version = house.load("1").await.unwrap().record.unwrap().version;
    let unchanged = |versions| when(Condition::Unchanged(versions), put("1", TWENTY));
    let conflict = Effect::Refused(Refusal::Conflict(version));
    assert_eq!(house.write(unchanged(vec![Version(1)])).await.unwrap(), conflict);
    assert_eq!(house.write(unchanged(vec![Version(1), version])).await.unwrap(), stored("1", false));
    assert_eq!(house.row("1").as_deref(), Some(TWENTY));
}

#[tokio::test]
async fn the_service_decides_a_condition_again_when_somebody_comes_in_between() {
    let house = House::new().await;
    house.bank.save("/payments/1", TEN);
    let version = house.load("1").await.unwrap().record.unwrap().version;
    for (write, id) in [
        (when(Condition::Unchanged(vec![version]), put("1", TWENTY)), "1"),
        (when(Condition::Absent, put("2", TWENTY)), "2"),
        (when(Condition::Present, delete("1")), "1"),
    ] {
        let prepared = house.payment.prepare(&[write]).await.unwrap();
        assert!(!matches!(prepared.effects()[0], Effect::Refused(_)));
        house.bank.save(&format!("/payments/{id}"), r#"{"amount":99}"#);
        let error = prepared.commit().await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Constraint, Retry::Safe));
        assert_eq!(house.row(id).as_deref(), Some(r#"{"amount":99}"#));
        house.bank.save("/payments/1", TEN);
        let now = house.load("1").await.unwrap().record.unwrap().version;
        assert_ne!(now, version, "tags count");
    }
}

#[tokio::test]
async fn without_an_entity_tag_no_state_can_be_compared_and_set() {
    let house = House::with(BankOptions { has_tags: false, ..BankOptions::quick() }, |config| config).await;
    house.bank.save("/payments/1", TEN);
    let version = house.load("1").await.unwrap().record.unwrap().version;
    let error = house.write_error(when(Condition::Unchanged(vec![version]), put("1", TWENTY))).await;
    assert_eq!(error.kind(), ErrorKind::Other);
    assert!(error.to_string().contains("entity tag"), "{error}");
    assert_eq!(house.row("1").as_deref(), Some(TEN));
}

#[tokio::test]
async fn writes_of_one_record_that_meet_are_one_request() {
    let house = House::new().await;
    let writes = [
        put("1", TEN),
        when(Condition::Absent, put("1", r#"{"amount":1}"#)),
        when(Condition::Present, put("1", TWENTY)),
    ];
    let prepared = house.payment.prepare(&writes).await.unwrap();
    let expected = [stored("1", true), Effect::Refused(Refusal::Exists), stored("1", false)];
    assert_eq!(prepared.effects(), expected);
    prepared.commit().await.unwrap();
    assert_eq!((house.row("1").as_deref(), house.bank.counts().saves), (Some(TWENTY), 1));
}

#[tokio::test]
async fn several_records_are_not_written_together() {
    let house = House::new().await;
    let error = house.payment.prepare(&[put("1", TEN), put("2", TEN)]).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Other, Retry::Never));
    assert_eq!(house.bank.rows(), []);
}

#[tokio::test]
async fn a_commit_takes_place_although_its_future_is_dropped() {
    let house = House::with(BankOptions { save_ms: 20, ..BankOptions::quick() }, |config| config).await;
    let prepared = house.payment.prepare(&[put("1", TEN)]).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(1), prepared.commit()).await.is_err());
    while house.row("1").is_none() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_commit_without_an_answer_is_of_unknown_outcome() {
    let house = House::new().await;
    house.bank.hang_up(&[HangUp::AfterSaving, HangUp::BeforeSaving]);
    for (id, is_saved) in [("1", true), ("2", false)] {
        let error = house.write_error(put(id, TEN)).await;
        assert_eq!((error.kind(), error.retry()), (ErrorKind::OutcomeUnknown, Retry::Unsafe));
        assert_eq!(house.row(id).is_some(), is_saved);
    }
    house.bank.refuse(&[502]);
    assert_eq!(house.write_error(put("3", TEN)).await.kind(), ErrorKind::OutcomeUnknown);
}

#[tokio::test]
async fn a_commit_that_takes_too_long_is_of_unknown_outcome() {
    let options = BankOptions { save_ms: 60_000, ..BankOptions::quick() };
    let house = House::with(options, |config| HttpConfig { request_timeout_ms: 50, ..config }).await;
    assert_eq!(house.write_error(put("1", TEN)).await.kind(), ErrorKind::OutcomeUnknown);
}

#[tokio::test]
async fn what_was_not_sent_was_not_written() {
    let House { bank, payment, .. } = House::new().await;
    let prepared = payment.prepare(&[put("1", TEN)]).await.unwrap();
    drop(bank);
    let error = prepared.commit().await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, Retry::Safe));
}

#[tokio::test]
async fn what_the_service_refuses_is_permanent_and_shows_no_value() {
    let house = House::new().await;
    house.bank.refuse(&[400, 403, 409, 413]);
    for kind in [ErrorKind::InvalidValue, ErrorKind::Denied, ErrorKind::Constraint, ErrorKind::TooLarge] {
        let error = house.write_error(put("1", r#"{"iban":"told s3cret"}"#)).await;
        assert_eq!((error.kind(), error.retry()), (kind, Retry::Never));
        assert!(error.to_string().contains("the bank was … to refuse"), "{error}");
    }
    house.bank.decline_for_ms(5_000);
    let error = house.write_error(put("1", TEN)).await;
    assert_eq!((error.kind(), error.retry_after_ms()), (ErrorKind::Unavailable, Some(5_000)));
}

#[tokio::test]
async fn what_is_no_json_object_or_too_large_is_not_sent() {
    let house =
        House::with(BankOptions::quick(), |config| HttpConfig { body_bytes_max: 100, ..config }).await;
    for value in ["", "s3cret", "[1]", "{\"a\":s3cret}"] {
        let error = house.write_error(put("1", value)).await;
        assert_eq!(error.kind(), ErrorKind::InvalidValue);
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
    let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(100));
    assert_eq!(house.write_error(put("1", &large)).await.kind(), ErrorKind::TooLarge);
    assert_eq!(house.bank.counts().requests, 0);
}

#[tokio::test]
async fn a_new_record_brings_its_key_or_gets_a_uuid() {
    let house = House::new().await;
    let create = |value| Write { target: Target::New, ..put("0", value) };
    assert_eq!(house.write(create(r#"{"id":7,"amount":1}"#)).await.unwrap(), stored("7", true));
    assert_eq!(house.write(create(r#"{"id":"7"}"#)).await.unwrap(), Effect::Refused(Refusal::Exists));
    let Effect::Stored { key, created: true, .. } = house.write(create(TEN)).await.unwrap() else { panic!() };
    assert_eq!((key.as_str().len(), house.row(key.as_str()).as_deref()), (36, Some(TEN)));
    assert_eq!(house.write_error(create(r#"{"id":null}"#)).await.kind(), ErrorKind::InvalidKey);
    let composite = resource(&house.source, "/b/{bank}/p/{id}");
    assert_eq!(composite.prepare(&[create(TEN)]).await.unwrap_err().kind(), ErrorKind::InvalidKey);
}

#[tokio::test]
async fn a_record_is_put_by_the_method_that_is_configured() {
    let house = House::new().await;
    for put_by in PutMethod::ALL {
        let path = PathTemplate::parse("/payments/{id}").unwrap();
        let mapping = HttpMapping { put: *put_by, ..HttpMapping::json(path) };
        let resource = house.source.resource(mapping, Arc::new(TestTasks));
        house.bank.refuse(&[418]);
        let error = resource.prepare(&[put("1", TEN)]).await.unwrap().commit().await.unwrap_err();
        assert!(error.to_string().contains(&format!("`{put_by} /payments/{{id}}`")), "{error}");
    }
}
