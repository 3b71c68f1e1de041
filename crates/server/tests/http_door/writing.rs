// SPDX-License-Identifier: MIT OR Apache-2.0
//! PUT, POST, DELETE and invalidate.

use crate::house::{ADA, House};

const BOB: &str = r#"{"id":3,"first_name":"Bob"}"#;

#[tokio::test]
async fn a_put_of_a_new_record_creates_it() {
    let house = House::new();
    let answer = house.put("/v1/person/3", BOB).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (201, BOB));
    assert_eq!(answer.header("location"), "/v1/person/3");
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(house.person.row("3").unwrap(), BOB);
}

#[tokio::test]
async fn a_put_of_a_record_that_is_there_replaces_it_and_the_next_read_hits() {
    let house = House::new();
    house.get("/v1/person/1").await;
    let new = r#"{"id":1,"first_name":"Ada","last_name":"King"}"#;
    let answer = house.put("/v1/person/1", new).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (200, new));
    assert_eq!(answer.header("content-location"), "/v1/person/1");
    assert_eq!(answer.header("location"), "");
    let read = house.get("/v1/person/1").await;
    assert_eq!((read.text(), read.header("etag")), (new, answer.header("etag")));
    assert_eq!(house.person.loads(), 1);
}

#[tokio::test]
async fn a_put_under_another_spelling_of_the_key_says_where_the_record_is() {
    let answer = House::new().put("/v1/person/001", ADA).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-location")), (200, "/v1/person/1"));
}

#[tokio::test]
async fn a_client_that_prefers_no_body_gets_none() {
    let house = House::new();
    let put = |path: &str| house.ask("PUT", path).header("prefer", "return=minimal").json(BOB).send();
    let created = put("/v1/person/3").await;
    assert_eq!((created.status.as_u16(), created.body.len()), (201, 0));
    let replaced = put("/v1/person/3").await;
    assert_eq!((replaced.status.as_u16(), replaced.body.len()), (204, 0));
    assert_eq!(replaced.header("preference-applied"), "return=minimal");
    assert_eq!(replaced.header("etag"), created.header("etag"));
    assert_eq!(replaced.header("content-type"), "");
}

#[tokio::test]
async fn a_raw_record_takes_any_bytes() {
    let house = House::new();
    let bytes: &[u8] = b"\0\xff\r\n";
    let answer = house.ask("PUT", "/v1/note/b").body(bytes).send().await;
    assert_eq!((answer.status.as_u16(), &*answer.body), (201, bytes));
    assert_eq!(house.get("/v1/note/b").await.body, bytes);
}

#[tokio::test]
async fn a_json_record_takes_only_json() {
    let house = House::new();
    let types = ["", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1"];
    for media_type in types {
        let put = house.ask("PUT", "/v1/person/1").header("content-type", media_type).body(BOB);
        put.send().await.problem(415, "unsupported-media-type");
    }
    house.ask("PUT", "/v1/person/1").body(BOB).send().await.problem(415, "unsupported-media-type");
    let zipped = house.ask("PUT", "/v1/person/1").header("content-encoding", "gzip").json(BOB);
    zipped.send().await.problem(415, "unsupported-media-type");
    assert_eq!(house.person.row("1").unwrap(), ADA);
}

#[tokio::test]
async fn a_part_of_a_record_cannot_be_put() {
    let part = House::new().ask("PUT", "/v1/person/1").header("content-range", "bytes 0-1/9").json(BOB);
    part.send().await.problem(400, "invalid-header");
}

#[tokio::test]
async fn malformed_json_is_refused_with_its_place_and_without_its_text() {
    let house = House::new();
    for body in ["", "{", "{\"first_name\": secret}", "{}{}", "\u{feff}{}", "[1,"] {
        let detail = house.put("/v1/person/1", body).await.problem(400, "malformed-body");
        assert!(!detail.contains("secret"), "{detail}");
    }
    let bytes: &[u8] = b"{\"first_name\":\"\xff\"}";
    let not_utf8 = house.ask("PUT", "/v1/person/1").header("content-type", "application/json").body(bytes);
    not_utf8.send().await.problem(400, "malformed-body");
    assert_eq!(house.person.row("1").unwrap(), ADA);
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused() {
    let house = House::new();
    let largest = format!("\"{}\"", "x".repeat(1024 * 1024 - 2));
    assert_eq!(house.put("/v1/person/1", &largest).await.status.as_u16(), 200);
    let larger = format!("\"{}\"", "x".repeat(1024 * 1024 - 1));
    house.put("/v1/person/1", &larger).await.problem(413, "too-large");
    assert_eq!(house.person.row("1").unwrap(), largest);
}

#[tokio::test]
async fn a_new_record_is_found_where_it_is_said_to_be() {
    let house = House::new();
    let created = house.ask("POST", "/v1/person").json(BOB).send().await;
    assert_eq!((created.status.as_u16(), created.text()), (201, BOB));
    let read = house.get(created.header("location")).await;
    assert_eq!((read.text(), read.header("etag")), (BOB, created.header("etag")));
}

#[tokio::test]
async fn creating_takes_no_condition() {
    let house = House::new();
    for (name, value) in [("if-match", "*"), ("if-none-match", "*")] {
        let create = house.ask("POST", "/v1/person").header(name, value).json(BOB);
        create.send().await.problem(400, "invalid-header");
    }
    assert_eq!(house.person.row("new1"), None);
}

#[tokio::test]
async fn a_deleted_record_is_gone_at_once() {
    let house = House::new();
    house.get("/v1/person/1").await;
    let deleted = house.ask("DELETE", "/v1/person/1").send().await;
    assert_eq!((deleted.status.as_u16(), deleted.body.len()), (204, 0));
    house.get("/v1/person/1").await.problem(404, "not-found");
    house.ask("DELETE", "/v1/person/1").send().await.problem(404, "not-found");
}

#[tokio::test]
async fn invalidating_makes_the_next_read_ask_the_source() {
    let house = House::new();
    house.get("/v1/person/1").await;
    house.person.change_behind("1", Some(BOB));
    assert_eq!(house.get("/v1/person/1").await.text(), ADA);
    let answer = house.ask("POST", "/v1/person/1/_invalidate").send().await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0));
    assert_eq!(house.get("/v1/person/1").await.text(), BOB);
}

#[tokio::test]
async fn an_invalidation_that_the_cache_does_not_confirm_is_a_problem() {
    let house = House::new();
    house.cache.set_down(true);
    let answer = house.ask("POST", "/v1/person/1/_invalidate").send().await;
    answer.problem(503, "unavailable");
}

#[tokio::test]
async fn a_resource_that_is_only_read_takes_invalidations_and_no_writes() {
    let house = House::new();
    let put = house.put("/v1/sight/1", "{}").await;
    assert!(put.problem(403, "read-only").contains("--write"));
    house.ask("DELETE", "/v1/sight/1").send().await.problem(403, "read-only");
    house.ask("POST", "/v1/sight").json("{}").send().await.problem(403, "read-only");
    assert_eq!(house.ask("POST", "/v1/sight/1/_invalidate").send().await.status.as_u16(), 204);
    assert_eq!(house.get("/v1/sight/1").await.text(), r#"{"id":1}"#);
}
