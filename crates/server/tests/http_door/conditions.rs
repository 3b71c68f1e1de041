// SPDX-License-Identifier: MIT OR Apache-2.0
//! Conditional writes.

use crate::house::{ADA, Answer, House};

const NEW: &str = r#"{"id":1,"first_name":"Ada","last_name":"King"}"#;

async fn put(house: &House, path: &str, name: &str, value: &str) -> Answer {
    house.ask("PUT", path).header(name, value).json(NEW).send().await
}

#[tokio::test]
async fn of_two_writers_with_one_version_one_wins() {
    let house = House::new();
    let tag = house.get("/v1/person/1").await.header("etag").to_owned();
    let write = |name: &str| {
        let body = format!("{{\"id\":1,\"first_name\":\"{name}\"}}");
        house.ask("PUT", "/v1/person/1").header("if-match", &tag).json(&body).send()
    };
    let (a, b) = tokio::join!(write("a"), write("b"));
    let (winner, loser) = if a.status == 200 { (a, b) } else { (b, a) };
    assert_eq!(winner.status.as_u16(), 200);
    loser.problem(412, "precondition-failed");
    assert_eq!(loser.header("etag"), winner.header("etag"), "the loser is told the present version");
    assert_eq!(house.get("/v1/person/1").await.text(), winner.text());
}

#[tokio::test]
async fn a_write_with_an_old_version_changes_nothing_and_is_told_the_new_one() {
    let house = House::new();
    let old = house.get("/v1/person/1").await.header("etag").to_owned();
    house.person.change_behind("1", Some(NEW));
    let refused = put(&house, "/v1/person/1", "if-match", &old).await;
    refused.problem(412, "precondition-failed");
    let read = house.get("/v1/person/1").await;
    assert_eq!(
        (read.text(), read.header("etag")),
        (NEW, refused.header("etag")),
        "the old entry is gone too"
    );
}

#[tokio::test]
async fn any_version_of_a_list_will_do() {
    let house = House::new();
    let tag = house.get("/v1/person/1").await.header("etag").to_owned();
    let list = format!("\"0000000000000001\", {tag}, \"a stranger's\"");
    assert_eq!(put(&house, "/v1/person/1", "if-match", &list).await.status.as_u16(), 200);
}

#[tokio::test]
async fn a_weak_tag_never_matches_a_write() {
    let house = House::new();
    let tag = house.get("/v1/person/1").await.header("etag").to_owned();
    let refused = put(&house, "/v1/person/1", "if-match", &format!("W/{tag}")).await;
    refused.problem(412, "precondition-failed");
    assert_eq!(refused.header("etag"), tag);
    assert_eq!(house.person.row("1").unwrap(), ADA);
}

#[tokio::test]
async fn a_star_asks_only_whether_there_is_a_record() {
    let house = House::new();
    put(&house, "/v1/person/9", "if-match", "*").await.problem(412, "precondition-failed");
    assert_eq!(put(&house, "/v1/person/1", "if-match", "*").await.status.as_u16(), 200);
    put(&house, "/v1/person/1", "if-none-match", "*").await.problem(412, "precondition-failed");
    assert_eq!(put(&house, "/v1/person/9", "if-none-match", "*").await.status.as_u16(), 201);
}

#[tokio::test]
async fn a_delete_takes_a_version() {
    let house = House::new();
    let tag = house.get("/v1/person/1").await.header("etag").to_owned();
    let delete = |path: &str, tag: &str| house.ask("DELETE", path).header("if-match", tag).send();
    let refused = delete("/v1/person/1", "\"0000000000000001\"").await;
    refused.problem(412, "precondition-failed");
    assert_eq!(refused.header("etag"), tag);
    delete("/v1/person/9", "*").await.problem(412, "precondition-failed");
    assert_eq!(delete("/v1/person/1", &tag).await.status.as_u16(), 204);
    let senseless = house.ask("DELETE", "/v1/person/2").header("if-none-match", "*").send().await;
    senseless.problem(400, "invalid-header");
}

#[tokio::test]
async fn conditions_that_cannot_be_decided_are_refused() {
    let house = House::new();
    let list = vec!["\"0000000000000001\""; 17].join(",");
    let cases = [
        ("if-match", list.as_str()),
        ("if-none-match", "\"a\""),
        ("if-match", "abc"),
        ("if-match", "*, \"a\""),
    ];
    for (name, value) in cases {
        put(&house, "/v1/person/1", name, value).await.problem(400, "invalid-header");
    }
    let both =
        house.ask("PUT", "/v1/person/1").header("if-match", "*").header("if-none-match", "*").json(NEW);
    both.send().await.problem(400, "invalid-header");
    assert_eq!(house.person.row("1").unwrap(), ADA);
}

#[tokio::test]
async fn dates_are_no_conditions() {
    let house = House::new();
    let date = "Sat, 31 Jan 2026 12:00:00 GMT";
    assert_eq!(put(&house, "/v1/person/1", "if-unmodified-since", date).await.status.as_u16(), 200);
    let read = house.ask("GET", "/v1/person/1").header("if-modified-since", date).send().await;
    assert_eq!(read.status.as_u16(), 200);
}
