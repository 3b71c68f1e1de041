// SPDX-License-Identifier: MIT OR Apache-2.0
//! OpenAPI and metrics.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use throughline::config::Secret;
use throughline_server::http::HttpDoor;

use crate::house::House;

fn methods(item: &Value) -> Vec<&str> {
    let keys = item.as_object().expect("a path item").keys().map(String::as_str);
    keys.filter(|key| ["get", "head", "put", "post", "delete"].contains(key)).collect()
}

#[tokio::test]
async fn the_document_names_every_path_and_method() {
    let document = House::new().get("/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = &document["paths"];
    assert_eq!(methods(&paths["/v1/person"]), ["post"]);
    assert_eq!(methods(&paths["/v1/person/{key}"]), ["get", "head", "put", "delete"]);
    assert_eq!(methods(&paths["/v1/person/_get"]), ["post"]);
    assert_eq!(methods(&paths["/v1/person/{key}/_invalidate"]), ["post"]);
    assert_eq!(methods(&paths["/v1/sight/{key}"]), ["get", "head"], "it is only read");
    assert_eq!(paths["/v1/sight"], Value::Null);
    assert_eq!(methods(&paths["/admin/resources/{resource}/mode"]), ["get", "put"]);
    assert_eq!(methods(&paths["/admin/resources/{resource}/_invalidate"]), ["post"]);
    assert_eq!(methods(&paths["/admin/servers/{server}/_invalidate"]), ["post"]);
    let fixed = [
        "/",
        "/v1",
        "/openapi.json",
        "/problems/{name}",
        "/metrics",
        "/healthz",
        "/readyz",
        "/admin/resources",
        "/admin/stats",
    ];
    for path in fixed {
        assert_eq!(methods(&paths[path]), ["get"], "{path}");
    }
}

#[tokio::test]
async fn every_path_and_method_of_the_document_is_served() {
    let house = House::new();
    let document = house.get("/openapi.json").await.json();
    for (path, item) in document["paths"].as_object().unwrap() {
        let path =
            path.replace("{key}", "1").replace("{resource}", "person").replace("{name}", "invalid-key");
        for method in methods(item) {
            let answer = house.ask(&method.to_uppercase(), &path).send().await;
            let status = answer.status.as_u16();
            // What is named need not be there, but the path must be.
            assert!(status != 404 || !answer.text().contains("no-such-path"), "{method} {path}");
            assert_ne!(status, 405, "{method} {path}");
        }
    }
    let metrics = house.get("/metrics").await;
    assert!(!metrics.text().contains("route=\"none\""), "each is counted under its own name");
}

#[tokio::test]
async fn each_json_resource_has_a_schema_with_its_columns() {
    let document = House::new().get("/openapi.json").await.json();
    let schema = &document["components"]["schemas"]["person"];
    assert_eq!(
        schema["properties"],
        json!({
            "id": { "type": "integer" },
            "first_name": { "type": "string" },
            "last_name": { "type": ["string", "null"] },
        })
    );
    assert_eq!(schema["required"], json!(["first_name"]));
    assert_eq!(schema["examples"][0], json!({ "id": 1, "first_name": "text", "last_name": "text" }));
    assert_eq!(document["components"]["schemas"]["note"], Value::Null, "it is raw bytes");
    let parameter = &document["paths"]["/v1/note/{key}"]["parameters"][0];
    assert!(parameter["description"].as_str().unwrap().contains("`name`, `language`"));
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| match (key.as_str(), value) {
            ("$ref", Value::String(reference)) => drop(found.insert(reference.clone())),
            _ => references(value, found),
        }),
        Value::Array(list) => list.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[tokio::test]
async fn every_reference_of_the_document_leads_somewhere_and_every_operation_has_its_own_name() {
    let document = House::new().get("/openapi.json").await.json();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() >= 3);
    for reference in found {
        assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
    }
    let items = document["paths"].as_object().unwrap().values();
    let operations = items
        .flat_map(|item| methods(item).into_iter().map(|method| item[method]["operationId"].to_string()));
    let mut names = BTreeSet::new();
    operations.for_each(|name| assert!(names.insert(name.clone()), "{name}"));
}

#[tokio::test]
async fn the_document_says_whether_a_token_is_needed() {
    let open = House::new().get("/openapi.json").await.json();
    assert_eq!(open["security"], Value::Null);
    let house = House::behind(&HttpDoor { token: Some(Secret::new("s3cret")), ..HttpDoor::default() });
    let guarded = house.ask("GET", "/openapi.json").header("authorization", "Bearer s3cret").send().await;
    assert!(!guarded.text().contains("s3cret"));
    let guarded = guarded.json();
    assert_eq!(guarded["security"], json!([{ "token": [] }]));
    assert_eq!(guarded["components"]["securitySchemes"]["token"]["scheme"], "bearer");
    assert_eq!(guarded["paths"]["/healthz"]["get"]["security"], json!([]));
}

/// Reads Prometheus' text format, as strictly as Prometheus does: the samples of each family.
fn parse(text: &str) -> BTreeMap<String, Vec<(String, f64)>> {
    let mut families: BTreeMap<String, Vec<(String, f64)>> = BTreeMap::new();
    let mut present = (String::new(), String::new());
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, meaning) = help.split_once(' ').expect("a name and a meaning");
            assert!(!meaning.is_empty() && !families.contains_key(name), "{line}");
            families.insert(name.to_owned(), Vec::new());
            present.0 = name.to_owned();
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect("a name and a kind");
            assert_eq!(name, present.0);
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            present.1 = kind.to_owned();
        } else {
            let (sample, number) = line.rsplit_once(' ').expect("a sample and a number");
            let name = sample.split('{').next().expect("a first part");
            let suffix = name.strip_prefix(&present.0).expect("samples follow their family");
            let suffixes: &[&str] =
                if present.1 == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            assert!(suffixes.contains(&suffix), "{line}");
            let labels = &sample[name.len()..];
            assert!(labels.is_empty() || labels.starts_with('{') && labels.ends_with("\"}"), "{line}");
            let number = number.parse().expect("a number");
            families.get_mut(&present.0).expect("the present family").push((sample.to_owned(), number));
        }
    }
    families
}

#[tokio::test]
async fn the_metrics_name_every_counter_of_every_resource() {
    let house = House::new();
    house.get("/v1/person/1").await;
    house.get("/v1/person/1").await;
    let answer = house.get("/metrics").await;
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let families = parse(answer.text());
    let mut counters = 0;
    for listing in house.throughline.listings() {
        listing.space.stats().for_each(|name, _, number| {
            let family = format!("throughline_{name}_total");
            let sample = format!("{family}{{resource=\"{}\"}}", listing.space.name());
            assert!(families[&family].contains(&(sample, number as f64)), "{family}");
            counters += 1;
        });
    }
    assert!(counters >= 3 * 30);
    assert_eq!(families["throughline_hits_total"][0].1, 1.0);
}

#[tokio::test]
async fn the_metrics_show_backends_modes_and_requests() {
    let house = House::new();
    house.get("/v1/person/1").await;
    house.get("/v1/person/9").await;
    let families = parse(house.get("/metrics").await.text());
    assert_eq!(
        families["throughline_cache_entries"],
        [
            ("throughline_cache_entries{cache=\"main\"}".to_owned(), 3.0),
            ("throughline_cache_entries{cache=\"other\"}".to_owned(), 5.0),
        ]
    );
    assert_eq!(families["throughline_source_connections"].len(), 1);
    assert!(
        families["throughline_mode"]
            .contains(&("throughline_mode{resource=\"person\",mode=\"cache\"}".to_owned(), 1.0))
    );
    let elsewhere = |name: &str| format!("throughline_written_behind_elsewhere{{resource=\"{name}\"}}");
    house.throughline.listing("person").unwrap().space.begin_yielded_to("another");
    let yielded = parse(house.get("/metrics").await.text());
    for (families, number) in [(&families, 0.0), (&yielded, 1.0)] {
        let family = &families["throughline_written_behind_elsewhere"];
        assert!(family.contains(&(elsewhere("person"), number)), "{family:?}");
    }
    let request = |status| {
        format!(
            "throughline_http_requests_total{{route=\"/v1/{{resource}}/{{key}}\",method=\"GET\",status=\"{status}\"}}"
        )
    };
    let requests = &families["throughline_http_requests_total"];
    assert_eq!(requests, &[(request(200), 1.0), (request(404), 1.0)]);
    assert_eq!(families["throughline_http_requests_in_flight"][0].1, 1.0);
    let durations = &families["throughline_http_request_duration_seconds"];
    let count = durations.iter().find(|(sample, _)| sample.contains("_count")).unwrap();
    assert_eq!(count.1, 2.0);
    let buckets: Vec<f64> =
        durations.iter().filter(|(sample, _)| sample.contains("_bucket")).map(|(_, n)| *n).collect();
    assert!(buckets.is_sorted() && buckets.last() == Some(&2.0), "{buckets:?}");
}
