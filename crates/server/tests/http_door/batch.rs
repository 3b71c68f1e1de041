// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads of many records.

use serde_json::{Value, json};
use throughline_server::http::HttpDoor;

use crate::house::{ADA, Answer, House};

async fn ask(house: &House, resource: &str, keys: &Value) -> Answer {
    let path = format!("/v1/{resource}/_get");
    house.ask("POST", &path).json(&json!({ "keys": keys }).to_string()).send().await
}

#[tokio::test]
async fn each_key_has_its_own_result_in_its_place() {
    let house = House::new();
    let answer = ask(&house, "person", &json!(["2", "9", "%zz", "1", "2", ""])).await.json();
    let results = answer["results"].as_array().unwrap();
    let keys: Vec<&str> = results.iter().map(|result| result["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["2", "9", "%zz", "1", "2", ""]);
    assert_eq!(results[0]["value"], json!({ "id": 2 }));
    assert_eq!(results[1], json!({ "key": "9", "found": false }));
    assert_eq!(results[2]["error"]["type"], "/problems/invalid-key");
    assert_eq!(results[2]["error"]["resource"], "person");
    assert_eq!(results[3]["value"], serde_json::from_str::<Value>(ADA).unwrap());
    assert_eq!((&results[4]["found"], &results[5]["error"]["status"]), (&json!(true), &json!(400)));
    assert_eq!(house.person.loads(), 1, "one bulk load for all that is missing");
    let tag = house.get("/v1/person/1").await.header("etag").to_owned();
    assert_eq!(results[3]["etag"], tag);
}

#[tokio::test]
async fn raw_records_come_in_base64() {
    let answer = ask(&House::new(), "note", &json!(["a"])).await.json();
    assert_eq!(answer["results"][0]["value"], "PHNjcmlwdD5wbGFpbiBieXRlczwvc2NyaXB0Pg==");
}

#[tokio::test]
async fn a_source_that_is_gone_is_every_missing_keys_error() {
    let house = House::new();
    house.get("/v1/person/1").await;
    house.person.set_unavailable(true);
    let answer = ask(&house, "person", &json!(["1", "2"])).await.json();
    assert_eq!(answer["results"][0]["found"], true);
    assert_eq!(answer["results"][1]["error"]["status"], 503);
}

#[tokio::test]
async fn the_number_of_keys_is_limited() {
    let house = House::new();
    let keys: Vec<String> = (0..1_000).map(|n| n.to_string()).collect();
    assert_eq!(ask(&house, "person", &json!(keys)).await.json()["results"].as_array().unwrap().len(), 1_000);
    let keys: Vec<String> = (0..1_001).map(|n| n.to_string()).collect();
    assert!(ask(&house, "person", &json!(keys)).await.problem(413, "too-large").contains("1000"));
    assert_eq!(ask(&house, "person", &json!([])).await.json(), json!({ "results": [] }));
}

#[tokio::test]
async fn what_the_answer_has_no_room_for_is_said_key_by_key() {
    let door = HttpDoor { answer_bytes_max: 50, ..HttpDoor::default() };
    let answer = ask(&House::behind(&door), "person", &json!(["1", "1", "9"])).await.json();
    assert_eq!(answer["results"][0]["found"], true);
    assert_eq!(answer["results"][1]["error"]["type"], "/problems/too-large");
    assert_eq!(answer["results"][2]["found"], false);
}

#[tokio::test]
async fn a_question_that_is_none_is_refused() {
    let house = House::new();
    for body in ["[]", "{}", r#"{"keys":"1"}"#, r#"{"keys":[1]}"#, r#"{"keys":[],"more":1}"#, "null"] {
        let answer = house.ask("POST", "/v1/person/_get").json(body).send().await;
        answer.problem(422, "invalid-value");
    }
    house.ask("POST", "/v1/person/_get").json("{").send().await.problem(400, "malformed-body");
    house.ask("POST", "/v1/person/_get").body("{}").send().await.problem(415, "unsupported-media-type");
    ask(&house, "nobody", &json!([])).await.problem(404, "unknown-resource");
}

#[tokio::test]
async fn a_record_with_the_key_get_is_a_record() {
    let house = House::new();
    assert_eq!(house.put("/v1/person/_get", ADA).await.status.as_u16(), 201);
    assert_eq!(house.get("/v1/person/_get").await.text(), ADA);
}
