// SPDX-License-Identifier: MIT OR Apache-2.0
//! `Throughline-Session`.

use crate::house::{ADA, Answer, House};

const NEW: &str = r#"{"id":1,"first_name":"Ada","last_name":"King"}"#;
const HEADER: &str = "throughline-session";

/// A write whose invalidation the cache does not confirm.
async fn unconfirmed(house: &House) -> Answer {
    house.get("/v1/person/1").await;
    house.cache.set_down(true);
    house.put("/v1/person/1", NEW).await
}

#[tokio::test]
async fn only_what_the_cache_did_not_confirm_gives_one() {
    let house = House::new();
    assert_eq!(house.put("/v1/person/1", ADA).await.header(HEADER), "");
    assert_ne!(unconfirmed(&house).await.header(HEADER), "");
    let removed = house.ask("DELETE", "/v1/person/2").send().await;
    assert_eq!(removed.status, 204);
    assert_ne!(removed.header(HEADER), "");
}

#[tokio::test]
async fn another_daemon_reads_at_the_source_what_it_names() {
    let session = unconfirmed(&House::new()).await.header(HEADER).to_owned();
    let other = House::new();
    for path in ["/v1/person/1", "/v1/person/2"] {
        other.get(path).await;
    }
    other.person.change_behind("1", Some(NEW));
    let ask = |path| other.ask("GET", path).header(HEADER, &session);
    assert_eq!(other.get("/v1/person/1").await.text(), ADA, "without it");
    assert_eq!(ask("/v1/person/1").send().await.text(), NEW);
    assert!(ask("/v1/person/2").send().await.header("cache-status").starts_with("throughline; hit"));
    let cached = ask("/v1/person/1").header("cache-control", "only-if-cached").send().await;
    assert_eq!(cached.status, 504);
    let batch = other.ask("POST", "/v1/person/_get").header(HEADER, &session);
    let batch = batch.json(r#"{"keys":["2","1"]}"#).send().await;
    assert!(batch.text().contains("King"), "{}", batch.text());
}

#[tokio::test]
async fn an_answer_to_a_later_write_names_the_earlier_one_too() {
    let house = House::new();
    let first = unconfirmed(&house).await.header(HEADER).to_owned();
    let second = house.ask("PUT", "/v1/person/2").header(HEADER, &first).json(r#"{"id":2}"#).send().await;
    let both = second.header(HEADER);
    assert!(both.contains(first.split('.').next().unwrap()) && both.contains(','), "{both}");
}

#[tokio::test]
async fn what_nobody_gave_is_refused_and_nothing_is_written() {
    let house = House::new();
    for (method, path) in [("GET", "/v1/person/1"), ("PUT", "/v1/person/1"), ("DELETE", "/v1/person/1")] {
        let answer = house.ask(method, path).header(HEADER, "yours").json(NEW).send().await;
        answer.problem(400, "invalid-header");
    }
    assert_eq!(house.get("/v1/person/1").await.text(), ADA);
}
