// SPDX-License-Identifier: MIT OR Apache-2.0
//! Schemas and examples of records, and the schema of problems.

use serde_json::{Map, Value, json};
use throughline::{About, Field, JsonType};

use super::super::problem::ProblemKind;
use super::super::resources::type_word;

/// The name of the problems' schema. A resource that is called so would lose its own schema to it.
pub(super) const PROBLEM: &str = "ThroughlineProblem";

/// A reference to a schema.
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// A record of a resource.
pub(super) fn record(about: &About) -> Value {
    let mut properties = Map::new();
    for field in &about.fields {
        properties.insert(field.name.clone(), property(field));
    }
    let required = about.fields.iter().filter(|field| field.required);
    let required: Vec<&str> = required.map(|field| field.name.as_str()).collect();
    json!({
        "type": "object",
        "title": format!("A row of `{}`", about.table),
        "properties": properties,
        "required": required,
        // Of a service over HTTP the fields are not known.
        "additionalProperties": about.fields.is_empty(),
        "examples": [example(about)],
    })
}

fn property(field: &Field) -> Value {
    let mut property = Map::new();
    if let Some(word) = type_word(field.json_type) {
        let json_type = if field.nullable { json!([word, "null"]) } else { json!(word) };
        property.insert("type".to_owned(), json_type);
    }
    if let Some(format) = field.json_format {
        property.insert("format".to_owned(), format.into());
    }
    if field.read_only {
        property.insert("readOnly".to_owned(), true.into());
    }
    Value::Object(property)
}

/// A record that could be.
pub(super) fn example(about: &About) -> Value {
    let fields = about.fields.iter();
    fields.map(|field| (field.name.clone(), example_of(field))).collect::<Map<_, _>>().into()
}

/// A key that could be, as a path segment.
pub(super) fn example_key(about: &About) -> String {
    let parts = about.key.iter().map(|column| {
        let field = about.fields.iter().find(|field| field.name == *column);
        match field.map(example_of) {
            Some(Value::String(text)) => text,
            Some(value) => value.to_string(),
            None => "1".to_owned(),
        }
    });
    parts.collect::<Vec<_>>().join(":")
}

fn example_of(field: &Field) -> Value {
    match (field.json_type, field.json_format) {
        (JsonType::Integer, _) => json!(1),
        (JsonType::Number, _) => json!(1.5),
        (JsonType::Boolean, _) => json!(true),
        // Most columns that take anything are SQLite's texts.
        (JsonType::Any, _) => json!("text"),
        (JsonType::String, Some("date")) => json!("2026-01-31"),
        (JsonType::String, Some("time")) => json!("12:30:00"),
        (JsonType::String, Some("date-time")) => json!("2026-01-31T12:30:00Z"),
        (JsonType::String, Some("uuid")) => json!("01890a5d-ac96-774b-bcce-b302099a8057"),
        (JsonType::String, Some("byte")) => json!("aGVsbG8="),
        (JsonType::String, Some("decimal")) => json!("12.50"),
        (JsonType::String, _) => json!("text"),
    }
}

/// A problem document.
pub(super) fn problem() -> Value {
    let kinds: Vec<&str> = ProblemKind::ALL.iter().map(|kind| kind.uri()).collect();
    let example = ProblemKind::InvalidValue;
    json!({
        "type": "object",
        "title": "A problem (RFC 9457)",
        "properties": {
            "type": { "type": "string", "format": "uri-reference", "enum": kinds },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string", "description": "What and where" },
            "resource": { "type": "string" },
            "retry": { "type": "string", "enum": ["safe", "unsafe", "never"] },
        },
        "required": ["type", "title", "status", "detail", "retry"],
        "examples": [{
            "type": example.uri(),
            "title": example.title(),
            "status": example.status().as_u16(),
            "detail": "cannot write a row: invalid value: column `price` takes a number",
            "resource": "product",
            "retry": "never",
        }],
    })
}
