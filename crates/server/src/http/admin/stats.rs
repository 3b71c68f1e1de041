// SPDX-License-Identifier: MIT OR Apache-2.0
//! `/admin/stats`: every counter, as JSON.

use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};
use throughline::{Gauge, Listing};

use super::super::door::Shared;

/// Answers with the numbers of now.
pub(crate) async fn stats(State(door): State<Shared>) -> Json<Value> {
    let listings = door.throughline.listings().iter();
    let resources: Map<String, Value> =
        listings.map(|listing| (listing.space.name().as_str().to_owned(), counters(listing))).collect();
    let backends: Vec<Value> = door.throughline.gauges().iter().map(gauge).collect();
    let mut requests = Vec::new();
    door.stats.for_each_count(|route, method, status, count| {
        requests.push(json!({ "route": route, "method": method, "status": status, "count": count }));
    });
    Json(json!({ "resources": resources, "backends": backends, "requests": requests }))
}

fn counters(listing: &Listing) -> Value {
    let mut counters = Map::new();
    listing.space.stats().for_each(|name, _, number| {
        counters.insert(name.to_owned(), number.into());
    });
    let is_elsewhere = listing.space.yielded_to().is_some();
    counters.insert("written_behind_elsewhere".to_owned(), u8::from(is_elsewhere).into());
    Value::Object(counters)
}

fn gauge(gauge: &Gauge) -> Value {
    json!({
        "role": gauge.role,
        "backend": gauge.backend,
        "node": gauge.node,
        "name": gauge.name,
        "meaning": gauge.meaning,
        "number": gauge.number,
    })
}
