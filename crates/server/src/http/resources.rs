// SPDX-License-Identifier: MIT OR Apache-2.0
//! `GET /v1` and `GET /admin/resources`: the resources, with everything that can be said about them.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use throughline::{Field, Format, JsonType, Listing};

use super::door::Shared;

/// Answers with every resource, in the order of the configuration or the catalogue.
pub(crate) async fn list(State(door): State<Shared>) -> Json<Value> {
    let resources: Vec<Value> = door.throughline.listings().iter().map(describe).collect();
    Json(json!({ "resources": resources }))
}

fn describe(listing: &Listing) -> Value {
    let (space, about) = (&listing.space, &listing.about);
    let policy = space.policy();
    json!({
        "name": space.name().as_str(),
        "path": format!("/v1/{}", space.name()),
        "mode": space.mode().as_str(),
        "access": policy.access.as_str(),
        "level": policy.level.as_str(),
        "level_reason": about.level_reason,
        "remedy": about.remedy,
        "others_seen": about.others_seen,
        "max_staleness_ms": policy.staleness_ms_max,
        "news_are_late": space.is_news_late(),
        "read": policy.read.as_str(),
        "write": policy.write.as_str(),
        "written_behind_by": space.yielded_to(),
        "ttl_ms": policy.ttl.entry_ms,
        "negative_ttl_ms": policy.ttl.negative_ms,
        "source": about.source,
        "table": about.table,
        "cache": about.cache,
        "format": format_word(about.format),
        "key": about.key,
        "fields": about.fields.iter().map(describe_field).collect::<Vec<_>>(),
    })
}

fn describe_field(field: &Field) -> Value {
    json!({
        "name": field.name,
        "type": type_word(field.json_type),
        "format": field.json_format,
        "nullable": field.nullable,
        "required": field.required,
        "read_only": field.read_only,
    })
}

fn format_word(format: Format) -> &'static str {
    match format {
        Format::Json => "json",
        Format::Raw => "raw",
    }
}

/// A column's type as JSON Schema spells it; `None` for one that takes anything.
pub(crate) fn type_word(json_type: JsonType) -> Option<&'static str> {
    match json_type {
        JsonType::Integer => Some("integer"),
        JsonType::Number => Some("number"),
        JsonType::String => Some("string"),
        JsonType::Boolean => Some("boolean"),
        JsonType::Any => None,
    }
}
