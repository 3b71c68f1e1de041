// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads of one record.

use throughline::{Mode, Version};

use crate::house::{ADA, House};

fn tag(text: &str) -> String {
    format!("\"{:016x}\"", Version::of_content(text.as_bytes()).0)
}

#[tokio::test]
async fn a_record_is_its_bytes_with_its_version() {
    let house = House::new();
    let answer = house.get("/v1/person/1").await;
    assert_eq!((answer.status.as_u16(), answer.text()), (200, ADA));
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("etag"), tag(ADA));
    assert_eq!(answer.header("cache-control"), "private, no-cache");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
}

#[tokio::test]
async fn raw_bytes_are_never_taken_for_a_page() {
    let answer = House::new().get("/v1/note/a").await;
    assert_eq!(answer.text(), "<script>plain bytes</script>");
    assert_eq!(answer.header("content-type"), "application/octet-stream");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
}

#[tokio::test]
async fn cache_status_tells_a_miss_from_a_hit() {
    let house = House::new();
    let miss = house.get("/v1/person/1").await;
    assert_eq!(miss.header("cache-status"), "throughline; fwd=uri-miss; stored");
    assert_eq!(miss.header("age"), "");
    house.clock.advance_ms(7_900);
    let hit = house.get("/v1/person/1").await;
    let ttl = hit.header("cache-status").strip_prefix("throughline; hit; ttl=");
    let ttl: u64 = ttl.expect("a hit").parse().expect("seconds");
    assert!((260..=293).contains(&ttl), "the ttl of 300 s less jitter and age, not {ttl}");
    assert_eq!(hit.header("age"), "7");
    assert_eq!(house.person.loads(), 1);
}

#[tokio::test]
async fn a_bypass_says_why() {
    let house = House::new();
    let space = &house.throughline.listing("person").unwrap().space;
    space.set_mode(Mode::Source).await.unwrap();
    let status = |answer: crate::house::Answer| answer.header("cache-status").to_owned();
    let source = status(house.get("/v1/person/1").await);
    assert_eq!(source, "throughline; fwd=bypass; detail=\"mode source\"");
    space.set_mode(Mode::Shadow).await.unwrap();
    house.get("/v1/person/1").await;
    let shadow = status(house.get("/v1/person/1").await);
    assert_eq!(shadow, "throughline; fwd=bypass; detail=\"mode shadow\"");
    space.set_mode(Mode::Cache).await.unwrap();
    let other = status(house.get("/v1/person/01").await);
    assert_eq!(other, "throughline; fwd=bypass; detail=\"key not canonical\"");
    house.cache.set_down(true);
    let down = status(house.get("/v1/person/2").await);
    assert_eq!(down, "throughline; fwd=bypass; detail=\"cache error\"");
}

#[tokio::test]
async fn an_absent_record_is_a_problem_that_is_cached_and_said_to_be() {
    let house = House::new();
    let miss = house.get("/v1/person/9").await;
    miss.problem(404, "not-found");
    assert_eq!(miss.header("cache-status"), "throughline; fwd=uri-miss; stored");
    assert_eq!(miss.header("cache-control"), "private, no-cache");
    let hit = house.get("/v1/person/9").await;
    hit.problem(404, "not-found");
    assert!(hit.header("cache-status").starts_with("throughline; hit; ttl="));
    assert_eq!(house.person.loads(), 1);
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let house = House::new();
    let head = house.ask("HEAD", "/v1/person/1").send().await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), ADA.len().to_string());
    assert_eq!(head.header("etag"), tag(ADA));
    let absent = house.ask("HEAD", "/v1/person/9").send().await;
    assert_eq!((absent.status.as_u16(), absent.body.len()), (404, 0));
}

#[tokio::test]
async fn a_version_that_is_known_is_not_sent_again() {
    let house = House::new();
    let known = [tag(ADA), format!("W/{}", tag(ADA)), format!("\"x\", {}", tag(ADA)), "*".to_owned()];
    for tags in known {
        let answer = house.ask("GET", "/v1/person/1").header("if-none-match", &tags).send().await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (304, 0), "{tags}");
        assert_eq!(answer.header("etag"), tag(ADA));
        assert_ne!(answer.header("cache-status"), "");
        assert_eq!(answer.header("cache-control"), "private, no-cache");
    }
    let other = house.ask("GET", "/v1/person/1").header("if-none-match", "\"x\"").send().await;
    assert_eq!(other.text(), ADA);
    let absent = house.ask("GET", "/v1/person/9").header("if-none-match", "*").send().await;
    absent.problem(404, "not-found");
}

#[tokio::test]
async fn a_read_may_ask_for_a_version() {
    let house = House::new();
    let ask = |path: &str, tags: &str| house.ask("GET", path).header("if-match", tags).send();
    assert_eq!(ask("/v1/person/1", &tag(ADA)).await.text(), ADA);
    let other = ask("/v1/person/1", "\"x\"").await;
    other.problem(412, "precondition-failed");
    assert_eq!(other.header("etag"), tag(ADA));
    ask("/v1/person/1", &format!("W/{}", tag(ADA))).await.problem(412, "precondition-failed");
    ask("/v1/person/9", "*").await.problem(412, "precondition-failed");
}

#[tokio::test]
async fn tags_that_are_none_are_refused() {
    let answer = House::new().ask("GET", "/v1/person/1").header("if-none-match", "abc").send().await;
    assert!(answer.problem(400, "invalid-header").contains("if-none-match"));
}

#[tokio::test]
async fn a_source_that_is_gone_is_no_absent_record() {
    let house = House::new();
    house.person.set_unavailable(true);
    let answer = house.get("/v1/person/1").await;
    answer.problem(503, "unavailable");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn a_concurrent_crowd_is_one_load() {
    let house = House::new();
    house.person.open_reads(false);
    let crowd = (0..50).map(|_| house.get("/v1/person/1"));
    let crowd = futures_util::future::join_all(crowd);
    let open = async {
        while house.person.loads() == 0 {
            tokio::task::yield_now().await;
        }
        house.person.open_reads(true);
    };
    let (answers, ()) = tokio::join!(crowd, open);
    assert!(answers.iter().all(|answer| answer.text() == ADA));
    assert!(house.person.loads() <= 2, "{} loads", house.person.loads());
}
