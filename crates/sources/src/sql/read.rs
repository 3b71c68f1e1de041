// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads a cell from JSON as users send it; the rules are in [`super::value`].

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use super::array::array_of_json;
use super::json::{holds_text, push_compact};
use super::{Column, Kind, Value};

/// The value that `json`, one valid JSON text, means for `column`; `None` when it takes no such thing,
/// and then [`takes`] says what it does take. Null is always read; whether it is allowed is not asked here.
pub(super) fn read_cell(json: &str, column: &Column) -> Option<Value> {
    if json == "null" {
        return Some(Value::Null);
    }
    if json.starts_with('{')
        && let Some((name, content)) = tag(json)
    {
        return read_tagged(&name, content, column);
    }
    match &column.kind {
        Kind::Bool => read_bool(json),
        Kind::Integer { bits, unsigned } => read_integer(json, *bits, *unsigned),
        Kind::Year => read_integer(json, 16, true),
        Kind::Bit { bits } => read_integer(json, *bits, true),
        Kind::Float { bits } => read_float(json, *bits, column.loose),
        Kind::Decimal if !column.loose => read_decimal(json),
        Kind::Decimal => read_number(json),
        Kind::Any if !json.starts_with('"') => read_number(json),
        Kind::Json => read_document(json, column.loose),
        Kind::Array(element) => array_of_json(json, element).map(Value::Text),
        Kind::Bytes { .. } => Some(Value::Bytes(STANDARD.decode(text(json)?).ok()?)),
        kind if holds_text(kind) => Some(Value::Text(text(json)?)),
        _ => None,
    }
}

/// What `column` takes, in the words of an error.
pub(super) fn takes(column: &Column) -> String {
    match &column.kind {
        Kind::Integer { bits, unsigned: true } => {
            format!("an integer from 0 to {}", u64::MAX >> (64 - u32::from(*bits)))
        }
        Kind::Integer { bits, unsigned: false } => {
            let max = i64::MAX >> (64 - u32::from(*bits));
            format!("an integer from {} to {max}", -max - 1)
        }
        Kind::Decimal if column.loose => "a number (a whole one within 64 bits)".into(),
        Kind::Decimal => "a number".into(),
        Kind::Float { .. } => "a number, \"Infinity\" or \"-Infinity\"".into(),
        Kind::Text { .. } => "a string".into(),
        Kind::Bytes { .. } => "a string of base64".into(),
        Kind::Bool => "true or false".into(),
        Kind::Date => "a date as a string".into(),
        Kind::Time => "a time as a string".into(),
        Kind::DateTime => "a date and time as a string".into(),
        Kind::Year => "a year as a number".into(),
        Kind::Json => "any JSON within 64-bit numbers".into(),
        Kind::Enum(_) => "one of its texts as a string".into(),
        Kind::Array(element) => {
            format!("an array, each element null or {}", takes(&Column::new("", Kind::clone(element))))
        }
        Kind::Set(_) => "some of its texts as one string, joined by commas".into(),
        Kind::Uuid => "a UUID as a string".into(),
        Kind::Bit { bits } => format!("an integer of {bits} bits"),
        Kind::Any => {
            "a number (a whole one within 64 bits), a string, or bytes as {\"$bytes\": base64}".into()
        }
    }
}

fn text(json: &str) -> Option<String> {
    serde_json::from_str(json).ok()
}

fn read_bool(json: &str) -> Option<Value> {
    match json {
        "false" | "0" => Some(Value::Int(0)),
        "true" | "1" => Some(Value::Int(1)),
        _ => None,
    }
}

fn read_integer(json: &str, bits: u8, unsigned: bool) -> Option<Value> {
    if unsigned {
        let number: u64 = if json == "-0" { 0 } else { json.parse().ok()? };
        (number <= u64::MAX >> (64 - u32::from(bits))).then_some(Value::UInt(number))
    } else {
        let number: i64 = json.parse().ok()?;
        let max = i64::MAX >> (64 - u32::from(bits));
        (-max - 1..=max).contains(&number).then_some(Value::Int(number))
    }
}

/// A number of a column that keeps whole numbers and floating point apart.
fn read_number(json: &str) -> Option<Value> {
    if json.contains(['.', 'e', 'E']) {
        finite(json).map(Value::Float)
    } else {
        json.parse().ok().map(Value::Int)
    }
}

fn finite(json: &str) -> Option<f64> {
    json.parse().ok().filter(|number: &f64| is_number(json) && number.is_finite())
}

/// Rust's parser of numbers takes more than JSON's (`inf`, `+1`); the text is valid JSON, so its first byte tells.
fn is_number(json: &str) -> bool {
    json.starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

fn read_float(json: &str, bits: u8, loose: bool) -> Option<Value> {
    let number = match json {
        "\"Infinity\"" => f64::INFINITY,
        "\"-Infinity\"" => f64::NEG_INFINITY,
        // SQLite turns it into null.
        "\"NaN\"" if !loose => f64::NAN,
        _ if bits == 32 => {
            let narrow: f32 = json.parse().ok()?;
            f64::from(Some(narrow).filter(|narrow| is_number(json) && narrow.is_finite())?)
        }
        _ => finite(json)?,
    };
    Some(Value::Float(number))
}

fn read_decimal(json: &str) -> Option<Value> {
    if is_number(json) {
        return Some(Value::Decimal(json.into()));
    }
    let digits = text(json)?;
    let known = matches!(digits.as_str(), "NaN" | "Infinity" | "-Infinity")
        || serde_json::from_str::<serde_json::Number>(&digits).is_ok();
    known.then_some(Value::Decimal(digits))
}

fn read_document(json: &str, loose: bool) -> Option<Value> {
    if loose && is_number(json) {
        return read_number(json);
    }
    let mut compact = Vec::with_capacity(json.len());
    push_compact(json, &mut compact);
    String::from_utf8(compact).ok().map(Value::Text)
}

/// The name, without `$`, and content of a tag.
fn tag(json: &str) -> Option<(String, &str)> {
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(json).ok()?;
    let (name, content) = members.iter().next().filter(|_| members.len() == 1)?;
    let name = name.strip_prefix('$')?;
    let known = matches!(name, "integer" | "real" | "text" | "bytes" | "text_bytes");
    known.then(|| (name.to_owned(), content.get()))
}

fn read_tagged(name: &str, content: &str, column: &Column) -> Option<Value> {
    let may_be_tagged =
        column.loose || (matches!(column.kind, Kind::Json | Kind::Array(_)) && name == "text");
    if !may_be_tagged {
        return None;
    }
    match name {
        "integer" => content.parse().ok().map(Value::Int),
        "real" => read_float(content, 64, true),
        "text" => text(content).map(Value::Text),
        "bytes" => STANDARD.decode(text(content)?).ok().map(Value::Bytes),
        _ => {
            let bytes = STANDARD.decode(text(content)?).ok()?;
            Some(
                String::from_utf8(bytes).map_or_else(|error| Value::NotUtf8(error.into_bytes()), Value::Text),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Column, Kind, Value, read_cell};

    fn read(json: &str, kind: Kind, loose: bool) -> Option<Value> {
        let column = Column { loose, ..Column::new("c", kind) };
        read_cell(json, &column)
    }

    #[test]
    fn integers_beyond_their_bits_are_refused() {
        let tiny = |json| read(json, Kind::Integer { bits: 8, unsigned: false }, false);
        assert_eq!(tiny("-128"), Some(Value::Int(-128)));
        assert_eq!(tiny("128"), None);
        let big = |json| read(json, Kind::Integer { bits: 64, unsigned: true }, false);
        assert_eq!(big("18446744073709551615"), Some(Value::UInt(u64::MAX)));
        assert_eq!(big("18446744073709551616"), None);
        assert_eq!(big("-1"), None);
        assert_eq!(big("1.0"), None);
    }

    #[test]
    fn a_json_text_of_the_wrong_type_is_refused() {
        let integer = Kind::Integer { bits: 64, unsigned: false };
        for json in ["\"1\"", "true", "[]", "{}", "{\"$text\":\"1\"}"] {
            assert_eq!(read(json, integer.clone(), false), None, "{json}");
        }
        assert_eq!(read("1", Kind::Text { exact: true }, true), None);
        assert_eq!(read("true", Kind::Any, true), None);
        assert_eq!(read("\"no base64!\"", Kind::Bytes { fixed: None }, true), None);
        assert_eq!(read("1e999", Kind::Float { bits: 64 }, true), None);
    }

    #[test]
    fn tags_are_read_where_the_column_may_hold_any_class() {
        let integer = Kind::Integer { bits: 64, unsigned: false };
        assert_eq!(read("{\"$text\":\"x\"}", integer.clone(), true), Some(Value::Text("x".into())));
        assert_eq!(read("{\"$bytes\":\"AAE=\"}", integer.clone(), true), Some(Value::Bytes(vec![0, 1])));
        assert_eq!(read("{\"$text_bytes\":\"/w==\"}", integer, true), Some(Value::NotUtf8(vec![0xff])));
        assert_eq!(read("{\"$text\":\"null\"}", Kind::Json, false), Some(Value::Text("null".into())));
    }
}
