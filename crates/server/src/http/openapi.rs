// SPDX-License-Identifier: MIT OR Apache-2.0
//! `GET /openapi.json`: an OpenAPI 3.1 document, made from the resources and their columns.

mod behind_paths;
mod daemon_paths;
mod record_paths;
mod schema;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value, json};
use throughline::{Format, Listing};

use super::door::Shared;

const DESCRIPTION: &str = "Records of a database, read through a cache that is kept in agreement with it.\n\n\
**Keys.** A path segment is the key's text: one part per column of the primary key, each percent-encoded by \
itself, joined by `:` — `parts.map(encodeURIComponent).join(\":\")`. `/v1/t/a%3Ab` is one part with a colon, \
`/v1/t/a:b` is two parts. Nothing is decoded twice. A key that is empty, or is `.` or `..` to a client that \
shortens paths, can be read by `_get`.\n\n\
**Freshness.** `Cache-Control` of a request: `no-cache` (and `no-store`) asks the source; `max-age=N` takes no \
entry older than N seconds; `only-if-cached` never asks the source and answers 504 when there is no entry; \
`max-stale` is taken and changes nothing, because nothing stale is ever served. `Cache-Status` (RFC 9211) says \
how the cache took part, `Age` how old the entry is.\n\n\
**Sessions.** Where daemons share a `bounded` resource, the answer to a write may have `Throughline-Session`. Send \
the last one with later requests, to whichever daemon, and they see your own writes.\n\n\
**Conditions.** `ETag` is the record's version. `If-None-Match` of a read answers 304. `If-Match` of a write \
(at most 16 tags, or `*`) and `If-None-Match: *` are decided in the database, under the row's lock; otherwise \
412. Weak tags never match a write. Dates are ignored.\n\n\
**Problems.** Every error is an RFC 9457 document whose `retry` says whether the same request may be sent \
again: `safe`, `unsafe` (it may have been done), `never`.";

/// Answers with the document.
pub(crate) async fn serve(State(door): State<Shared>) -> Response {
    let media_type = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (media_type, Body::from(door.openapi.clone())).into_response()
}

/// The document for these resources.
pub(crate) fn document(listings: &[Listing], has_token: bool) -> Value {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for listing in listings {
        record_paths::add(listing, &mut paths);
        if listing.about.format == Format::Json {
            let name = listing.space.name().as_str().to_owned();
            schemas.insert(name, schema::record(&listing.about));
        }
    }
    daemon_paths::add(&mut paths);
    behind_paths::add(&mut paths);
    schemas.insert(schema::PROBLEM.to_owned(), schema::problem());
    let problem = json!({
        "description": "What went wrong",
        "content": { "application/problem+json": { "schema": schema::reference(schema::PROBLEM) } },
    });
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Throughline",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
            "description": DESCRIPTION,
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": { "schemas": schemas, "responses": { "Problem": problem } },
    });
    if has_token {
        document["components"]["securitySchemes"] =
            json!({ "token": { "type": "http", "scheme": "bearer" } });
        document["security"] = json!([{ "token": [] }]);
    }
    document
}
