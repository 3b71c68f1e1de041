// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sample database behind the door: a real SQLite file.

use serde_json::{Value, json};
use throughline::config::Settings;
use throughline::{Assembly, Throughline};
use throughline_server::http::{HttpDoor, router};
use throughline_testkit::Scratch;

use crate::house::{Answer, Ask};

struct Sample {
    router: axum::Router,
    throughline: Throughline,
    _folder: Scratch,
}

impl Sample {
    async fn open() -> Self {
        let folder = Scratch::new();
        let assembly = Assembly::new(Settings::sample(folder.path().to_owned()));
        let throughline = assembly.open().await.expect("a sample database");
        Self { router: router(throughline.clone(), &HttpDoor::default()), throughline, _folder: folder }
    }

    async fn get(&self, path: &str) -> Answer {
        Ask::new(&self.router, "GET", path).send().await
    }

    fn ask(&self, method: &str, path: &str) -> Ask {
        Ask::new(&self.router, method, path)
    }

    async fn put(&self, path: &str, value: &Value) -> Answer {
        self.ask("PUT", path).json(&value.to_string()).send().await
    }
}

#[tokio::test]
async fn a_row_is_read_and_then_hit() {
    let sample = Sample::open().await;
    let miss = sample.get("/v1/person/1").await;
    assert_eq!(miss.text(), r#"{"id":1,"first_name":"Ada","last_name":"Lovelace"}"#);
    let hit = sample.get("/v1/person/1").await;
    assert!(hit.header("cache-status").starts_with("throughline; hit; ttl="), "{hit:?}");
    assert_eq!((hit.text(), hit.header("etag")), (miss.text(), miss.header("etag")));
}

#[tokio::test]
async fn a_value_that_does_not_fit_names_its_column_and_not_itself() {
    let sample = Sample::open().await;
    let sound = json!({ "id": 1, "name": "Lamp", "price": 39.5, "stock": 12 });
    let cases = [
        ("price", json!("a-secret-text")),
        ("stock", json!(1.5)),
        ("stock", json!({ "a-secret-key": 1 })),
        ("name", json!(null)),
        ("colour", json!("red")),
    ];
    for (column, value) in cases {
        let mut wrong = sound.clone();
        wrong[column] = value;
        let answer = sample.put("/v1/product/1", &wrong).await;
        let detail = answer.problem(answer.status.as_u16(), kind_of(&answer));
        assert!([409, 422].contains(&answer.status.as_u16()), "{detail}");
        assert!(detail.contains(column) && !detail.contains("a-secret"), "{column}: {detail}");
    }
    assert_eq!(sample.get("/v1/product/1").await.json(), sound);
}

fn kind_of(answer: &Answer) -> &'static str {
    if answer.status == 409 { "constraint" } else { "invalid-value" }
}

#[tokio::test]
async fn a_value_that_is_no_object_or_has_another_key_is_refused() {
    let sample = Sample::open().await;
    for body in ["[]", "1", "\"text\"", "null", r#"{"id":2,"first_name":"Ada","last_name":"King"}"#] {
        let answer = sample.ask("PUT", "/v1/person/1").json(body).send().await;
        answer.problem(422, "invalid-value");
    }
}

#[tokio::test]
async fn a_column_that_is_left_out_takes_its_default() {
    let sample = Sample::open().await;
    let body = json!({ "id": 9, "name": "Shelf", "price": 5.0 });
    let stored = sample.put("/v1/product/9", &body).await;
    assert_eq!((stored.status.as_u16(), &stored.json()["stock"]), (201, &json!(0)));
    let missing = sample.put("/v1/product/10", &json!({ "name": "Shelf" })).await;
    assert!(missing.problem(missing.status.as_u16(), kind_of(&missing)).contains("price"));
}

#[tokio::test]
async fn a_created_row_has_the_databases_key() {
    let sample = Sample::open().await;
    let body = r#"{"first_name":"Barbara","last_name":"Liskov"}"#;
    let created = sample.ask("POST", "/v1/person").json(body).send().await;
    assert_eq!((created.status.as_u16(), created.header("location")), (201, "/v1/person/4"));
    assert_eq!(created.text(), r#"{"id":4,"first_name":"Barbara","last_name":"Liskov"}"#);
    let read = sample.get("/v1/person/4").await;
    assert_eq!((read.text(), read.header("etag")), (created.text(), created.header("etag")));
    assert!(read.header("cache-status").starts_with("throughline; hit"), "{read:?}");
    let again = sample.ask("POST", "/v1/person").json(created.text()).send().await;
    again.problem(409, "already-exists");
}

#[tokio::test]
async fn of_many_writers_with_one_version_one_wins() {
    let sample = Sample::open().await;
    let tag = sample.get("/v1/person/1").await.header("etag").to_owned();
    let writes = (0..8).map(|n| {
        let body = json!({ "id": 1, "first_name": n.to_string(), "last_name": "Lovelace" });
        sample.ask("PUT", "/v1/person/1").header("if-match", &tag).json(&body.to_string()).send()
    });
    let answers = futures_util::future::join_all(writes).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
    assert_eq!((won.len(), lost.len()), (1, 7));
    for answer in lost {
        answer.problem(412, "precondition-failed");
        assert_eq!(answer.header("etag"), won[0].header("etag"));
    }
    assert_eq!(sample.get("/v1/person/1").await.text(), won[0].text());
}

#[tokio::test]
async fn a_weak_tag_matches_no_row() {
    let sample = Sample::open().await;
    let tag = sample.get("/v1/person/1").await.header("etag").to_owned();
    let body = r#"{"id":1,"first_name":"A","last_name":"L"}"#;
    let weak =
        sample.ask("PUT", "/v1/person/1").header("if-match", &format!("W/{tag}")).json(body).send().await;
    weak.problem(412, "precondition-failed");
    assert_eq!(weak.header("etag"), tag);
    let delete = sample.ask("DELETE", "/v1/person/1").header("if-match", "\"x\"").send().await;
    delete.problem(412, "precondition-failed");
    assert_eq!(sample.get("/v1/person/1").await.status.as_u16(), 200);
}

#[tokio::test]
async fn a_hostile_id_is_no_number_and_nothing_else() {
    let sample = Sample::open().await;
    for id in ["1'%20OR%201=1", "1;DROP%20TABLE%20person", "1%00", "..", "1:2", "%F0%9F%98%80", "0x1", "1e0"]
    {
        let path = format!("/v1/person/{id}");
        sample.get(&path).await.problem(400, "invalid-key");
        sample.ask("DELETE", &path).send().await.problem(400, "invalid-key");
    }
    for id in ["1", "2", "3"] {
        assert_eq!(sample.get(&format!("/v1/person/{id}")).await.status.as_u16(), 200);
    }
}

#[tokio::test]
async fn another_spelling_of_a_key_is_the_same_row_uncached() {
    let sample = Sample::open().await;
    let answer = sample.get("/v1/person/001").await;
    assert_eq!(answer.header("cache-status"), "throughline; fwd=bypass; detail=\"key not canonical\"");
    assert_eq!(answer.json()["id"], 1);
}

#[tokio::test]
async fn the_document_names_every_column_of_the_sample() {
    let sample = Sample::open().await;
    let document = sample.get("/openapi.json").await.json();
    for listing in sample.throughline.listings() {
        let schema = &document["components"]["schemas"][listing.space.name().as_str()];
        let columns: Vec<&str> =
            schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        let fields: Vec<&str> = listing.about.fields.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(columns, fields);
        assert!(fields.len() >= 3);
    }
    let product = &document["components"]["schemas"]["product"];
    assert_eq!(product["required"], json!(["name", "price"]));
}

#[tokio::test]
async fn the_examples_of_the_document_are_taken() {
    let sample = Sample::open().await;
    let document = sample.get("/openapi.json").await.json();
    for resource in ["person", "product", "payment"] {
        let path = &document["paths"][format!("/v1/{resource}/{{key}}")];
        let key = path["parameters"][0]["example"].as_str().unwrap();
        let body = &path["put"]["requestBody"]["content"]["application/json"]["example"];
        let answer = sample.put(&format!("/v1/{resource}/{key}"), body).await;
        assert_eq!((answer.status.as_u16(), &answer.json()), (200, body));
    }
}

#[tokio::test]
async fn many_rows_are_one_request() {
    let sample = Sample::open().await;
    let body = r#"{"keys":["3","x","1","99"]}"#;
    let answer = sample.ask("POST", "/v1/person/_get").json(body).send().await.json();
    let results = &answer["results"];
    assert_eq!(
        (&results[0]["value"]["first_name"], &results[2]["value"]["first_name"]),
        (&json!("Edsger"), &json!("Ada"))
    );
    assert_eq!((&results[1]["error"]["status"], &results[3]["found"]), (&json!(400), &json!(false)));
}
