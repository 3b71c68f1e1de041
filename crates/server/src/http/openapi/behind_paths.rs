// SPDX-License-Identifier: MIT OR Apache-2.0
//! The paths of accepted writes: receipts, and what operators see and decide.

use serde_json::{Map, Value, json};

use super::daemon_paths::operation;

/// Adds them.
pub(super) fn add(paths: &mut Map<String, Value>) {
    let mut add = |path: &str, item: Value| paths.insert(path.to_owned(), item);
    let text =
        |name: &str| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } });
    let (resource, number) = (text("resource"), text("number"));
    let json = "application/json";
    let receipt = operation("receipt", "What has become of an accepted write", json);
    add("/receipts/{resource}/{number}", json!({ "parameters": [resource, number], "get": receipt }));
    let list = operation("admin.journal", "What is accepted and not applied, per resource", json);
    add("/admin/journal", json!({ "get": list }));
    let one = operation("admin.journal.resource", "Pending writes and dead letters, oldest first", json);
    add("/admin/journal/{resource}", json!({ "parameters": [resource], "get": one }));
    let drain = accepted(operation("admin.journal.drain", "Applies what is pending now", json));
    add("/admin/journal/{resource}/_drain", json!({ "parameters": [resource], "post": drain }));
    let letter = operation("admin.journal.letter", "A dead letter", json);
    add("/admin/journal/{resource}/{number}", json!({ "parameters": [resource, number], "get": letter }));
    let retry = accepted(operation(
        "admin.journal.retry",
        "A dead letter is tried again, with another value if one is sent",
        json,
    ));
    let path = "/admin/journal/{resource}/{number}/_retry";
    add(path, json!({ "parameters": [resource, number], "post": retry }));
    let mut discard = operation("admin.journal.discard", "A dead letter is forgotten for good", "text/plain");
    discard["responses"] = json!({ "204": { "description": "Readers see the source from now on" } });
    let path = "/admin/journal/{resource}/{number}/_discard";
    add(path, json!({ "parameters": [resource, number], "post": discard }));
}

/// The operation, answered by 202.
fn accepted(mut operation: Value) -> Value {
    if let Some(responses) = operation["responses"].as_object_mut()
        && let Some(answer) = responses.remove("200")
    {
        responses.insert("202".to_owned(), answer);
    }
    operation
}
