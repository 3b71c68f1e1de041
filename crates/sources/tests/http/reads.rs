// SPDX-License-Identifier: MIT OR Apache-2.0
//! What loads find, what they cost, and what they say when nothing is found out.

use std::time::Duration;

use throughline_bank::{Bank, BankOptions};
use throughline_core::{ErrorKind, Intent, Loader as _, Retry, Sent, Version};
use throughline_sources::Password;
use throughline_sources::http::{HttpConfig, HttpFormat, HttpMapping, HttpSource, PathTemplate};
use throughline_testkit::TestTasks;

use crate::fixture::{House, key, load, open, resource};

#[tokio::test]
async fn a_record_is_compact_json_and_its_entity_tag_is_its_version() {
    let house = House::new().await;
    house.bank.save("/payments/1", "{ \"amount\" : 100.50 }");
    let loaded = house.load("1").await.unwrap();
    let record = loaded.record.unwrap();
    assert_eq!(record.value, r#"{"amount":100.50}"#);
    assert_eq!(record.version, Version::of_content(b"\"r1\""));
    assert!(loaded.fillable);
    house.bank.save("/payments/1", "{ \"amount\" : 100.50 }");
    assert_ne!(house.load("1").await.unwrap().record.unwrap().version, record.version);
}

#[tokio::test]
async fn without_an_entity_tag_the_content_is_the_version() {
    let house = House::with(BankOptions { has_tags: false, ..BankOptions::quick() }, |config| config).await;
    house.bank.save("/payments/1", "{ \"a\":1}");
    let record = house.load("1").await.unwrap().record.unwrap();
    assert_eq!(record.version, Version::of_content(br#"{"a":1}"#));
}

#[tokio::test]
async fn raw_bytes_are_kept_as_they_are() {
    let house = House::new().await;
    house.bank.save("/payments/1", " no JSON ");
    let path = PathTemplate::parse("/payments/{id}").unwrap();
    let raw = HttpMapping { format: HttpFormat::Raw, ..HttpMapping::json(path) };
    let resource = house.source.resource(raw, std::sync::Arc::new(TestTasks));
    assert_eq!(load(&resource, "1").await.unwrap().record.unwrap().value, " no JSON ");
    assert_eq!(house.load("1").await.unwrap_err().kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn requests_in_turn_share_a_connection() {
    let house = House::new().await;
    for id in 0..20 {
        assert_eq!(house.value(&id.to_string()).await, None);
    }
    let stats = house.source.stats();
    assert_eq!((stats.read_requests, stats.connections_opened), (20, 1));
    assert_eq!(house.bank.counts().connections, 1);
}

#[tokio::test]
async fn many_keys_are_asked_for_at_once_within_the_bound() {
    let options = BankOptions { read_ms: 20, ..BankOptions::quick() };
    let house = House::with(options, |config| HttpConfig { reader_count: 4, ..config }).await;
    house.bank.save("/payments/7", r#"{"id":7}"#);
    let keys: Vec<_> = (0..20).map(|id: u32| key(&id.to_string())).collect();
    let intent = Intent { fill: true, sent: Sent::new() };
    let loaded = house.payment.load_many(&keys, intent).await.unwrap();
    let found: Vec<usize> = (0..20).filter(|place| loaded[*place].record.is_some()).collect();
    assert_eq!(found, [7]);
    let counts = house.bank.counts();
    assert_eq!((counts.reads, counts.connections, counts.under_way_max), (20, 4, 4));
}

#[tokio::test]
async fn a_service_that_declines_is_unavailable_for_as_long_as_it_says() {
    let house = House::new().await;
    house.bank.decline_for_ms(10_000);
    let error = house.load("1").await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, Retry::Safe));
    assert_eq!(error.retry_after_ms(), Some(10_000));
    assert!(error.to_string().contains("the bank is closed for a while"), "{error}");
    house.bank.decline_for_ms(0);
    assert_eq!(house.value("1").await, None);
}

#[tokio::test]
async fn a_service_that_takes_too_long_is_left_and_the_next_answer_is_the_next_ones() {
    let options = BankOptions { read_ms: 60_000, ..BankOptions::quick() };
    let house = House::with(options, |config| HttpConfig { request_timeout_ms: 100, ..config }).await;
    house.bank.save("/payments/1", r#"{"id":1}"#);
    house.bank.save("/payments/2", r#"{"id":2}"#);
    let error = house.load("1").await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Timeout, Retry::Safe));
    house.bank.take_ms(0, 0);
    assert_eq!(house.value("2").await.unwrap(), r#"{"id":2}"#);
}

#[tokio::test]
async fn a_load_that_is_dropped_half_way_leaves_no_answer_to_the_next() {
    let house = House::with(BankOptions { read_ms: 60, ..BankOptions::quick() }, |config| config).await;
    for id in ["1", "2", "3"] {
        house.bank.save(&format!("/payments/{id}"), &format!(r#"{{"id":{id}}}"#));
    }
    for turn in 0..8 {
        let dropped = house.load("1");
        assert!(tokio::time::timeout(Duration::from_millis(turn * 4), dropped).await.is_err());
        assert_eq!(house.value("2").await.unwrap(), r#"{"id":2}"#);
    }
}

#[tokio::test]
async fn nobody_there_is_unavailable_and_a_probe_says_so() {
    let bank = Bank::start(BankOptions::quick()).await.unwrap();
    let source = open(HttpConfig::parse_url(&bank.url()).unwrap());
    source.probe().await.unwrap();
    drop(bank);
    let error = load(&resource(&source, "/x/{id}"), "1").await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, Retry::Safe));
    assert_eq!(source.probe().await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_token_is_shown_to_the_service_and_to_nobody_else() {
    let options = BankOptions { token: Some("s3cret".to_owned()), ..BankOptions::quick() };
    let bank = Bank::start(options).await.unwrap();
    let plain = HttpConfig::parse_url(&bank.url()).unwrap();
    let with = |token: &str| open(plain.clone().with_token(&Password::new(token)).unwrap());
    let ask =
        async |source: HttpSource| load(&resource(&source, "/x/{id}"), "1").await.map(|loaded| loaded.record);
    assert_eq!(ask(with("s3cret")).await.unwrap(), None);
    let denied = ask(with("wr0ng-s3cret")).await.unwrap_err();
    assert_eq!((denied.kind(), denied.retry()), (ErrorKind::Denied, Retry::Never));
    let shown = format!("{denied} {denied:?} {:?}", with("s3cret"));
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[tokio::test]
async fn a_hostile_key_stays_one_segment_of_the_path() {
    let house = House::new().await;
    house.bank.save("/admin", r#"{"all":"yours"}"#);
    house.bank.save("/payments", r#"{"all":"yours"}"#);
    for part in [
        "../admin",
        "..%2fadmin",
        "1/../../admin",
        "1?x=1",
        "1#x",
        "1\r\nHost: evil",
        "\\..\\admin",
        "%2e%2e",
    ] {
        let key = throughline_core::Key::from_parts([part.as_bytes()]).unwrap();
        let intent = Intent { fill: false, sent: Sent::new() };
        let loaded = house.payment.load(&key, intent).await.unwrap();
        assert_eq!(loaded.record, None, "{part}");
    }
    for part in ["", ".", ".."] {
        assert_eq!(house.load(part).await.unwrap_err().kind(), ErrorKind::InvalidKey, "{part}");
    }
    assert_eq!(house.bank.counts().reads, 8);
}
