// SPDX-License-Identifier: MIT OR Apache-2.0
//! The paths of one resource.

use serde_json::{Map, Value, json};
use throughline::{Access, Format, Listing};

use super::schema;
use crate::http::batch::KEYS_MAX;

/// Adds the paths of `listing`.
pub(super) fn add(listing: &Listing, paths: &mut Map<String, Value>) {
    let resource = Operations::of(listing);
    let name = resource.name;
    let mut record =
        json!({ "parameters": [resource.key_parameter()], "get": resource.get(), "head": resource.head() });
    if listing.space.policy().access == Access::Write {
        record["put"] = resource.put();
        record["delete"] = resource.delete();
        paths.insert(format!("/v1/{name}"), json!({ "post": resource.create() }));
    }
    paths.insert(format!("/v1/{name}/{{key}}"), record);
    paths.insert(format!("/v1/{name}/_get"), json!({ "post": resource.get_many() }));
    paths.insert(
        format!("/v1/{name}/{{key}}/_invalidate"),
        json!({ "parameters": [resource.key_parameter()], "post": resource.invalidate() }),
    );
}

/// The operations of one resource, each as its part of the document.
struct Operations<'a> {
    listing: &'a Listing,
    name: &'a str,
    /// The record as the body of a request or an answer.
    record: Value,
}

impl<'a> Operations<'a> {
    fn of(listing: &'a Listing) -> Self {
        let name = listing.space.name().as_str();
        let record = match listing.about.format {
            Format::Json => json!({ "application/json": {
                "schema": schema::reference(name),
                "example": schema::example(&listing.about),
            } }),
            Format::Raw => json!({ "application/octet-stream": {} }),
        };
        Self { listing, name, record }
    }

    fn operation(&self, verb: &str, summary: &str, responses: &Value) -> Value {
        let mut responses = responses.clone();
        responses["default"] = problem();
        json!({
            "operationId": format!("{}.{verb}", self.name),
            "tags": [self.name],
            "summary": summary,
            "responses": responses,
        })
    }

    fn key_parameter(&self) -> Value {
        let columns = self.listing.about.key.join("`, `");
        json!({
            "name": "key",
            "in": "path",
            "required": true,
            "description": format!("`{columns}`: each percent-encoded by itself, joined by `:`"),
            "schema": { "type": "string", "maxLength": 1024 },
            "example": schema::example_key(&self.listing.about),
        })
    }

    fn get(&self) -> Value {
        let mut operation = self.operation("get", "Read a record", &json!({
            "200": self.answer("The record", &["ETag", "Cache-Status", "Age"]),
            "304": { "description": "The record has a version of `If-None-Match`", "headers": headers(&["ETag", "Cache-Status"]) },
            "404": problem(),
        }));
        operation["parameters"] = json!([
            header("If-None-Match", "Answer 304 when the record has one of these versions"),
            header("If-Match", "Answer 412 when the record has none of these versions"),
            header("Cache-Control", "`no-cache`, `max-age=N`, `only-if-cached`, `max-stale`"),
            header("Throughline-Session", "What the last answer to a write had, if it had it"),
        ]);
        operation
    }

    fn head(&self) -> Value {
        let found = json!({ "description": "There is a record", "headers": headers(&["ETag", "Cache-Status", "Age"]) });
        self.operation(
            "head",
            "Read a record's version",
            &json!({
                "200": found,
                "304": { "description": "The record has a version of `If-None-Match`" },
                "404": { "description": "There is no record" },
            }),
        )
    }

    fn put(&self) -> Value {
        let mut operation = self.operation(
            "put",
            "Replace a record whole, or insert it",
            &json!({
                "200": self.answer("Replaced; the record as it is stored", &["ETag", "Content-Location"]),
                "201": self.answer("Inserted; the record as it is stored", &["ETag", "Location"]),
                "204": { "description": "Replaced; `Prefer: return=minimal`", "headers": headers(&["ETag"]) },
                "412": problem(),
                "422": problem(),
            }),
        );
        operation["description"] = json!("Columns that are left out take their default or null.");
        operation["parameters"] = json!([
            header("If-Match", "Write only a record with one of these versions (or `*`: any)"),
            header("If-None-Match", "`*`: write only if there is no such record"),
            header("Prefer", "`return=minimal`: no body in the answer"),
        ]);
        operation["requestBody"] = json!({ "required": true, "content": self.record });
        operation
    }

    fn delete(&self) -> Value {
        let mut operation = self.operation(
            "delete",
            "Remove a record",
            &json!({
                "204": { "description": "Removed" },
                "404": problem(),
                "412": problem(),
            }),
        );
        operation["parameters"] =
            json!([header("If-Match", "Remove only a record with one of these versions")]);
        operation
    }

    fn create(&self) -> Value {
        let mut operation = self.operation(
            "create",
            "Create a record",
            &json!({
                "201": self.answer("Created; the record as it is stored", &["ETag", "Location"]),
                "409": problem(),
                "422": problem(),
            }),
        );
        operation["description"] =
            json!("The key is the one in the body, or is made by the database, or is a UUIDv7.");
        operation["parameters"] = json!([header("Prefer", "`return=minimal`: no body in the answer")]);
        operation["requestBody"] = json!({ "required": true, "content": self.record });
        operation
    }

    fn get_many(&self) -> Value {
        let value = match self.listing.about.format {
            Format::Json => schema::reference(self.name),
            Format::Raw => json!({ "type": "string", "contentEncoding": "base64" }),
        };
        let result = json!({
            "type": "object",
            "properties": {
                "key": { "type": "string" },
                "found": { "type": "boolean" },
                "etag": { "type": "string" },
                "value": value,
                "error": schema::reference(schema::PROBLEM),
            },
            "required": ["key"],
        });
        let results =
            json!({ "type": "object", "properties": { "results": { "type": "array", "items": result } } });
        let mut operation = self.operation("get_many", "Read many records, each with its own result", &json!({
            "200": { "description": "In the order of the keys", "content": { "application/json": { "schema": results } } },
        }));
        let keys = json!({ "type": "array", "items": { "type": "string" }, "maxItems": KEYS_MAX });
        operation["requestBody"] = json!({ "required": true, "content": { "application/json": {
            "schema": {
                "type": "object", "properties": { "keys": keys }, "required": ["keys"], "additionalProperties": false,
            },
            "example": { "keys": [schema::example_key(&self.listing.about)] },
        } } });
        operation
    }

    fn invalidate(&self) -> Value {
        self.operation(
            "invalidate",
            "Drop the cached entry; the record stays as it is",
            &json!({
                "204": { "description": "Dropped" },
            }),
        )
    }

    /// An answer that is the record.
    fn answer(&self, description: &str, names: &[&str]) -> Value {
        json!({ "description": description, "headers": headers(names), "content": self.record })
    }
}

fn problem() -> Value {
    json!({ "$ref": "#/components/responses/Problem" })
}

fn header(name: &str, description: &str) -> Value {
    json!({ "name": name, "in": "header", "description": description, "schema": { "type": "string" } })
}

fn headers(names: &[&str]) -> Value {
    let headers = names.iter();
    headers
        .map(|name| ((*name).to_owned(), json!({ "schema": { "type": "string" } })))
        .collect::<Map<_, _>>()
        .into()
}
