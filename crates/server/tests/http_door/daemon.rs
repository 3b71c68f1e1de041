// SPDX-License-Identifier: MIT OR Apache-2.0
//! The switch, counters, and health.

use serde_json::json;
use throughline_server::http::{HttpDoor, Readiness};

use crate::house::{ADA, House};

const MODE: &str = "/admin/resources/person/mode";

#[tokio::test]
async fn the_mode_is_read_and_switched() {
    let house = House::new();
    assert_eq!(house.get(MODE).await.json(), json!({ "resource": "person", "mode": "cache" }));
    let switched = house.put(MODE, r#"{"mode":"source"}"#).await.json();
    assert_eq!(switched, json!({ "resource": "person", "mode": "source", "before": "cache" }));
    assert_eq!(house.get(MODE).await.json()["mode"], "source");
    house.get("/v1/person/1").await;
    house.get("/v1/person/1").await;
    assert_eq!(house.person.loads(), 2);
}

#[tokio::test]
async fn a_mode_that_is_none_is_refused_with_those_that_are() {
    let house = House::new();
    for body in [r#"{"mode":"off"}"#, r#"{"mode":1}"#, r#"{"mode":"source","more":1}"#, "{}", "\"source\""] {
        let detail = house.put(MODE, body).await.problem(422, "invalid-value");
        assert!(detail.contains("cache, source, shadow") && !detail.contains("off"), "{detail}");
    }
    house.put(MODE, "{").await.problem(400, "malformed-body");
    assert_eq!(house.get(MODE).await.json()["mode"], "cache");
}

#[tokio::test]
async fn the_way_back_to_the_cache_is_closed_while_an_invalidation_is_owed() {
    let house = House::new();
    house.put(MODE, r#"{"mode":"source"}"#).await.json();
    house.cache.set_down(true);
    assert_eq!(house.put("/v1/person/1", ADA).await.status.as_u16(), 200);
    let answer = house.put(MODE, r#"{"mode":"cache"}"#).await;
    assert!(answer.problem(503, "unavailable").contains("invalidations"));
    assert_eq!(house.get(MODE).await.json()["mode"], "source");
}

#[tokio::test]
async fn every_entry_is_dropped_on_demand() {
    let house = House::new();
    house.get("/v1/person/1").await;
    house.get("/v1/person/1").await;
    assert_eq!(house.person.loads(), 1);
    assert_eq!(house.ask("POST", "/admin/resources/person/_invalidate").send().await.status.as_u16(), 204);
    house.get("/v1/person/1").await;
    assert_eq!(house.person.loads(), 2);
}

#[tokio::test]
async fn the_resources_are_listed_with_what_they_are() {
    let house = House::new();
    let listed = house.get("/v1").await.json();
    assert_eq!(listed, house.get("/admin/resources").await.json());
    let person = &listed["resources"][0];
    assert_eq!(person["path"], "/v1/person");
    assert_eq!((&person["access"], &person["level"]), (&json!("write"), &json!("bounded")));
    assert_eq!((&person["key"], &person["mode"]), (&json!(["id"]), &json!("cache")));
    assert_eq!(
        person["fields"][2],
        json!({
            "name": "last_name", "type": "string", "format": null, "nullable": true, "required": false, "read_only": false,
        })
    );
    assert_eq!(listed["resources"][1]["format"], "raw");
    assert_eq!(listed["resources"][2]["access"], "read");
}

#[tokio::test]
async fn the_counters_are_told_as_json() {
    let house = House::new();
    house.get("/v1/person/1").await;
    house.get("/v1/person/1").await;
    let stats = house.get("/admin/stats").await.json();
    assert_eq!(
        (&stats["resources"]["person"]["hits"], &stats["resources"]["person"]["loads"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(stats["resources"]["sight"]["hits"], 0);
    assert_eq!(stats["backends"][0]["number"], 3);
    assert_eq!(
        stats["requests"][0],
        json!({ "route": "/v1/{resource}/{key}", "method": "GET", "status": 200, "count": 2 })
    );
}

#[tokio::test]
async fn readiness_is_told_with_every_reason() {
    let readiness = Readiness::default();
    let house = House::behind(&HttpDoor { readiness: readiness.clone(), ..HttpDoor::default() });
    assert_eq!(house.get("/readyz").await.text(), "ready\n");
    let holds = (readiness.hold("source `shop` is being connected"), readiness.hold("another"));
    let detail = house.get("/readyz").await.problem(503, "not-ready");
    assert_eq!(detail, "source `shop` is being connected; another");
    assert_eq!(house.get("/healthz").await.text(), "alive\n");
    drop(holds);
    assert_eq!(house.get("/readyz").await.status.as_u16(), 200);
}

#[tokio::test]
async fn a_daemon_is_ready_as_long_as_one_backend_can_answer_and_tells_what_is_missing() {
    let house = House::new();
    house.set_breakers(&[("source", "shop", 2), ("cache", "main", 0)]);
    assert_eq!(house.get("/readyz").await.text(), "ready, degraded: source `shop` does not answer\n");
    let all = |number| [("source", "shop", number), ("cache", "main", 2), ("cache", "other", 2)];
    house.set_breakers(&all(1));
    let degraded = "ready, degraded: source `shop` does not answer; cache `main` does not answer; cache `other` does \
                    not answer\n";
    assert_eq!(house.get("/readyz").await.text(), degraded);
    house.set_breakers(&all(2));
    let detail = house.get("/readyz").await.problem(503, "not-ready");
    assert!(detail.starts_with("source `shop` does not answer; "), "{detail}");
    house.set_breakers(&[("source", "shop", 0), ("cache", "main", 0)]);
    assert_eq!(house.get("/readyz").await.text(), "ready\n");
}

#[tokio::test]
async fn the_first_page_says_where_what_is() {
    let page = House::new().get("/").await;
    assert!(page.header("content-type").starts_with("text/html"));
    for text in ["/v1/person/{key}", "/v1/sight/{key}", "/openapi.json", "/metrics", "/healthz"] {
        assert!(page.text().contains(text), "{text}");
    }
}
