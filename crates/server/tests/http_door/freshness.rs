// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a request's `Cache-Control` asks for.

use crate::house::{ADA, Answer, House};

const NEW: &str = r#"{"id":1,"first_name":"Ada","last_name":"King"}"#;

async fn ask(house: &House, wish: &str) -> Answer {
    house.ask("GET", "/v1/person/1").header("cache-control", wish).send().await
}

/// A house whose cache holds what another program has changed since, 5 s ago.
async fn outdated() -> House {
    let house = House::new();
    house.get("/v1/person/1").await;
    house.person.change_behind("1", Some(NEW));
    house.clock.advance_ms(5_000);
    assert_eq!(house.get("/v1/person/1").await.text(), ADA);
    house
}

#[tokio::test]
async fn no_cache_and_no_store_ask_the_source_and_leave_the_cache() {
    for wish in ["no-cache", "no-store", "No-Cache, max-stale=9"] {
        let house = outdated().await;
        let fresh = ask(&house, wish).await;
        assert_eq!((fresh.text(), fresh.header("cache-status")), (NEW, "throughline; fwd=request"), "{wish}");
        assert_eq!(fresh.header("age"), "");
        assert_eq!(house.get("/v1/person/1").await.text(), ADA);
    }
}

#[tokio::test]
async fn max_age_takes_no_older_entry() {
    let house = outdated().await;
    let young_enough = ask(&house, "max-age=5").await;
    assert_eq!((young_enough.text(), young_enough.header("age")), (ADA, "5"));
    let too_old = ask(&house, "max-age=4").await;
    assert_eq!((too_old.text(), too_old.header("cache-status")), (NEW, "throughline; fwd=request"));
    assert_eq!(ask(&house, "max-age=0").await.text(), NEW);
}

#[tokio::test]
async fn max_age_of_what_was_just_loaded_asks_once() {
    let house = House::new();
    let answer = ask(&house, "max-age=0").await;
    assert_eq!(answer.header("cache-status"), "throughline; fwd=uri-miss; stored");
    assert_eq!(house.person.loads(), 1);
}

#[tokio::test]
async fn max_stale_changes_nothing() {
    let house = outdated().await;
    assert_eq!(ask(&house, "max-stale").await.text(), ADA);
    house.clock.advance_ms(400_000);
    let expired = ask(&house, "max-stale=999999").await;
    assert_eq!((expired.text(), house.person.loads()), (NEW, 2));
}

#[tokio::test]
async fn only_if_cached_never_asks_the_source() {
    let house = House::new();
    let absent = ask(&house, "only-if-cached").await;
    absent.problem(504, "not-cached");
    assert_eq!(absent.header("cache-status"), "throughline; detail=\"only-if-cached\"");
    assert_eq!(house.person.loads(), 0);
    house.get("/v1/person/1").await;
    house.clock.advance_ms(5_000);
    let hit = ask(&house, "only-if-cached").await;
    assert_eq!((hit.text(), hit.header("age")), (ADA, "5"));
    ask(&house, "only-if-cached, max-age=4").await.problem(504, "not-cached");
    ask(&house, "only-if-cached, no-cache").await.problem(504, "not-cached");
    assert_eq!(house.person.loads(), 1);
}

#[tokio::test]
async fn a_max_age_that_is_no_number_is_refused() {
    let answer = ask(&House::new(), "max-age=soon").await;
    assert!(answer.problem(400, "invalid-header").contains("max-age"));
}
