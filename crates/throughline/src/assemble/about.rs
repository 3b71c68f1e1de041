// SPDX-License-Identifier: MIT OR Apache-2.0
//! A table's columns in the words of JSON and OpenAPI.

use throughline_sources::sql::{Column, Kind};

use crate::listing::{Field, JsonType};

/// What a column is in a JSON record.
pub(super) fn field(column: &Column) -> Field {
    let (json_type, json_format) = json_type(column);
    Field {
        name: column.name.clone(),
        json_type,
        json_format,
        nullable: column.nullable,
        required: !column.generated && !column.may_be_omitted(),
        read_only: column.generated,
    }
}

fn json_type(column: &Column) -> (JsonType, Option<&'static str>) {
    if column.loose && !matches!(column.kind, Kind::Text { .. }) {
        // Any cell may hold any kind of value there. In a column of text, SQLite makes text of everything
        // but bytes, which are so rare there that clients are better served with the plain type.
        return (JsonType::Any, None);
    }
    match &column.kind {
        Kind::Integer { bits: 64, unsigned: false } => (JsonType::Integer, Some("int64")),
        Kind::Integer { bits: 32, unsigned: false } => (JsonType::Integer, Some("int32")),
        Kind::Integer { .. } | Kind::Year | Kind::Bit { .. } => (JsonType::Integer, None),
        Kind::Decimal => (JsonType::Number, Some("decimal")),
        Kind::Float { bits: 32 } => (JsonType::Number, Some("float")),
        Kind::Float { .. } => (JsonType::Number, Some("double")),
        Kind::Bool => (JsonType::Boolean, None),
        Kind::Date => (JsonType::String, Some("date")),
        Kind::Uuid => (JsonType::String, Some("uuid")),
        Kind::Bytes { .. } => (JsonType::String, Some("byte")),
        Kind::Text { .. } | Kind::Time | Kind::DateTime | Kind::Enum(_) | Kind::Set(_) => {
            (JsonType::String, None)
        }
        Kind::Json | Kind::Array(_) | Kind::Any => (JsonType::Any, None),
    }
}
