// SPDX-License-Identifier: MIT OR Apache-2.0
//! Errors as problem documents.

use serde_json::Value;
use throughline::ErrorKind;

use crate::house::{ADA, House};

#[tokio::test]
async fn every_kind_of_error_has_its_status_and_says_whether_to_retry() {
    let cases = [
        (ErrorKind::InvalidKey, 400, "invalid-key", "never"),
        (ErrorKind::InvalidValue, 422, "invalid-value", "never"),
        (ErrorKind::TooLarge, 413, "too-large", "never"),
        (ErrorKind::ReadOnly, 403, "read-only", "never"),
        (ErrorKind::Constraint, 409, "constraint", "never"),
        (ErrorKind::Denied, 502, "denied", "never"),
        (ErrorKind::Unavailable, 503, "unavailable", "safe"),
        (ErrorKind::Timeout, 504, "timeout", "unsafe"),
        (ErrorKind::Overloaded, 503, "overloaded", "safe"),
        (ErrorKind::Unmarkable, 503, "unmarkable", "safe"),
        (ErrorKind::OutcomeUnknown, 500, "outcome-unknown", "unsafe"),
        (ErrorKind::Corrupt, 502, "bad-source", "unsafe"),
        (ErrorKind::Configuration, 500, "internal", "never"),
        (ErrorKind::Closed, 503, "closed", "never"),
        (ErrorKind::Other, 502, "bad-source", "never"),
    ];
    for (kind, status, name, retry) in cases {
        let house = House::new();
        house.person.fail_next_commit(kind, false);
        let answer = house.put("/v1/person/1", "{}").await;
        let detail = answer.problem(status, name);
        assert!(detail.contains("planted"), "{detail}");
        let document: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((&document["retry"], &document["resource"]), (&retry.into(), &"person".into()));
        assert_eq!(answer.header("retry-after"), if status == 503 { "1" } else { "" }, "{name}");
    }
}

#[tokio::test]
async fn an_unknown_outcome_says_so_and_the_next_read_tells() {
    let house = House::new();
    house.get("/v1/person/1").await;
    house.person.fail_next_commit(ErrorKind::OutcomeUnknown, true);
    let answer = house.put("/v1/person/1", "{}").await;
    answer.problem(500, "outcome-unknown");
    let document: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(document["title"], "it is not known whether the write took place");
    assert_ne!(house.get("/v1/person/1").await.text(), ADA, "the truth, not the old entry");
}

#[tokio::test]
async fn every_type_of_problem_can_be_looked_up() {
    let house = House::new();
    let document = house.get("/openapi.json").await.json();
    let schema = &document["components"]["schemas"]["ThroughlineProblem"];
    let kinds = schema["properties"]["type"]["enum"].as_array().unwrap();
    assert!(kinds.len() > 25);
    for kind in kinds {
        let page = house.get(kind.as_str().unwrap()).await;
        assert_eq!(page.status.as_u16(), 200, "{kind}");
        assert_eq!(page.text().lines().count(), 2, "a title and a remedy: {}", page.text());
    }
    house.get("/problems/none").await.problem(404, "no-such-path");
}
