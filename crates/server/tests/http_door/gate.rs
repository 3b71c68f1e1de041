// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a request meets before its route.

use throughline::config::Secret;
use throughline_server::http::HttpDoor;

use crate::house::House;

const PATHS: &[&str] = &[
    "/",
    "/v1",
    "/v1/person/1",
    "/openapi.json",
    "/metrics",
    "/readyz",
    "/admin/resources",
    "/admin/stats",
    "/admin/resources/person/mode",
    "/problems/invalid-key",
    "/nowhere",
    "/v1/nobody/1",
    "/healthz/",
];

fn guarded() -> House {
    House::behind(&HttpDoor { token: Some(Secret::new("s3cret")), ..HttpDoor::default() })
}

#[tokio::test]
async fn without_the_token_only_healthz_answers() {
    let house = guarded();
    for path in PATHS {
        let answer = house.get(path).await;
        answer.problem(401, "unauthorized");
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"throughline\"", "{path}");
    }
    house.put("/v1/person/1", "{}").await.problem(401, "unauthorized");
    let alive = house.get("/healthz").await;
    assert_eq!((alive.status.as_u16(), alive.text()), (200, "alive\n"));
}

#[tokio::test]
async fn a_wrong_token_is_refused_and_not_repeated() {
    let house = guarded();
    for wrong in ["Bearer wrong-one", "Bearer ", "Basic czNjcmV0", "s3cret", "Bearer s3cret2"] {
        let answer = house.ask("GET", "/v1/person/1").header("authorization", wrong).send().await;
        let detail = answer.problem(401, "unauthorized");
        assert!(!detail.contains("wrong-one") && !detail.contains("s3cret"), "{detail}");
        assert!(answer.header("www-authenticate").contains("invalid_token"));
    }
}

#[tokio::test]
async fn the_token_opens_every_path() {
    let house = guarded();
    let statuses = [200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 404, 404, 404];
    for (path, status) in PATHS.iter().zip(statuses) {
        let answer = house.ask("GET", path).header("authorization", "Bearer s3cret").send().await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
    }
}

#[tokio::test]
async fn without_a_token_the_host_must_be_an_address() {
    let house = House::new();
    let rebound = house.ask("GET", "/v1/person/1").header("host", "evil.example:8311").send().await;
    rebound.problem(421, "wrong-host");
    for host in ["127.0.0.1:8311", "localhost:8311", "[::1]:8311"] {
        let answer = house.ask("GET", "/v1/person/1").header("host", host).send().await;
        assert_eq!(answer.status.as_u16(), 200, "{host}");
    }
    let named = guarded().ask("GET", "/v1/person/1").header("host", "cache.example");
    let named = named.header("authorization", "Bearer s3cret").send().await;
    assert_eq!(named.status.as_u16(), 200);
}

#[tokio::test]
async fn a_page_of_another_site_changes_nothing() {
    let house = House::new();
    let ask = |origin: &str| {
        let ask = house.ask("POST", "/v1/person/1/_invalidate").header("host", "127.0.0.1:8311");
        ask.header("origin", origin).send()
    };
    ask("https://evil.example").await.problem(403, "cross-origin");
    ask("null").await.problem(403, "cross-origin");
    assert_eq!(house.counter("invalidations"), 0);
    assert_eq!(ask("http://127.0.0.1:8311").await.status.as_u16(), 204);
}

#[tokio::test]
async fn a_query_is_refused_and_not_ignored() {
    let house = House::new();
    for path in ["/v1/person/1?fresh=1", "/v1?a", "/metrics?name[]=x", "/nowhere?x=y"] {
        house.get(path).await.problem(400, "unknown-parameter");
    }
    assert_eq!(house.get("/v1/person/1?").await.status.as_u16(), 200);
}

#[tokio::test]
async fn a_method_that_is_not_taken_is_told_which_are() {
    let house = House::new();
    let cases = [
        ("PATCH", "/v1/person/1", "GET,HEAD,PUT,DELETE,POST"),
        ("POST", "/v1/person/1", "GET,HEAD,PUT,DELETE"),
        ("GET", "/v1/person", "POST"),
        ("PUT", "/v1/person", "POST"),
        ("GET", "/v1/person/1/_invalidate", "POST"),
        ("DELETE", "/v1", "GET,HEAD"),
        ("OPTIONS", "/metrics", "GET,HEAD"),
        ("DELETE", "/admin/resources/person/mode", "PUT,GET,HEAD"),
        ("SECRET", "/healthz", "GET,HEAD"),
    ];
    for (method, path, allow) in cases {
        let answer = house.ask(method, path).send().await;
        let detail = answer.problem(405, "method-not-allowed");
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
        assert!(!detail.contains("SECRET"), "{detail}");
    }
}

#[tokio::test]
async fn a_path_that_is_none_is_a_problem() {
    let house = House::new();
    for path in ["/nowhere", "/v2/person/1", "/v1/person/1/2/3", "/.env", "/v1/person/1/_Invalidate"] {
        house.get(path).await.problem(404, "no-such-path");
    }
}
