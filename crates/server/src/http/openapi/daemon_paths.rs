// SPDX-License-Identifier: MIT OR Apache-2.0
//! The paths that are no resource's.

use serde_json::{Map, Value, json};
use throughline::Mode;

/// Adds them.
pub(super) fn add(paths: &mut Map<String, Value>) {
    let mut add = |path: &str, item: Value| paths.insert(path.to_owned(), item);
    add("/", json!({ "get": operation("home", "A page that says where what is", "text/html") }));
    add(
        "/v1",
        json!({ "get": operation("resources", "The resources, with what they are", "application/json") }),
    );
    add("/openapi.json", json!({ "get": operation("openapi", "This document", "application/json") }));
    let name = json!({ "name": "name", "in": "path", "required": true, "schema": { "type": "string" } });
    let problem = operation("problem", "What a problem's type means, and what to do", "text/plain");
    add("/problems/{name}", json!({ "parameters": [name], "get": problem }));
    add("/metrics", json!({ "get": operation("metrics", "Every counter, for Prometheus", "text/plain") }));
    let mut alive = operation("alive", "Whether the daemon is alive; needs no token", "text/plain");
    alive["security"] = json!([]);
    add("/healthz", json!({ "get": alive }));
    add(
        "/readyz",
        json!({ "get": operation("ready", "Whether the daemon wants requests, or why not", "text/plain") }),
    );
    let listed = operation("admin.resources", "The resources, with what they are", "application/json");
    add("/admin/resources", json!({ "get": listed }));
    add("/admin/resources/{resource}/mode", mode());
    let resource =
        json!({ "name": "resource", "in": "path", "required": true, "schema": { "type": "string" } });
    let mut all = operation("admin.invalidate_all", "Every entry is dropped, in every daemon", "text/plain");
    without_body(&mut all, "Nobody can read an entry from before");
    add("/admin/resources/{resource}/_invalidate", json!({ "parameters": [resource], "post": all }));
    let server = json!({ "name": "server", "in": "path", "required": true, "schema": { "type": "string" } });
    let title = "Every entry on a cache server is dropped, in every daemon";
    let mut all = operation("admin.invalidate_server", title, "text/plain");
    without_body(&mut all, "Nobody can read an entry from before");
    add("/admin/servers/{server}/_invalidate", json!({ "parameters": [server], "post": all }));
    add(
        "/admin/stats",
        json!({ "get": operation("admin.stats", "Every counter, as JSON", "application/json") }),
    );
}

fn mode() -> Value {
    let resource =
        json!({ "name": "resource", "in": "path", "required": true, "schema": { "type": "string" } });
    let modes: Vec<&str> = Mode::ALL.iter().map(|mode| mode.as_str()).collect();
    let schema = json!({
        "type": "object",
        "properties": { "mode": { "type": "string", "enum": modes } },
        "required": ["mode"],
        "additionalProperties": false,
    });
    let body = json!({ "schema": schema, "example": { "mode": "source" } });
    let mut set = operation("admin.set_mode", "Send reads elsewhere from now on", "application/json");
    set["requestBody"] = json!({ "required": true, "content": { "application/json": body } });
    json!({
        "parameters": [resource],
        "get": operation("admin.mode", "Where reads go", "application/json"),
        "put": set,
    })
}

/// The operation, answered by 204.
fn without_body(operation: &mut Value, description: &str) {
    operation["responses"]["204"] = json!({ "description": description });
    if let Some(responses) = operation["responses"].as_object_mut() {
        responses.remove("200");
    }
}

pub(super) fn operation(id: &str, summary: &str, media_type: &str) -> Value {
    json!({
        "operationId": id,
        "tags": ["daemon"],
        "summary": summary,
        "responses": {
            "200": { "description": summary, "content": { media_type: {} } },
            "default": { "$ref": "#/components/responses/Problem" },
        },
    })
}
