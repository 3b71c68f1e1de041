// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes a cell as compact JSON; the rules are in [`super::value`].

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::IgnoredAny;

use super::array::push_elements;
use super::{Cell, Kind};

const NO_FAILURE: &str = "writing to memory does not fail";

/// Appends `cell` of a column of `kind` to `out`; `loose` as in [`super::Column::loose`].
pub(super) fn write_cell(cell: Cell<'_>, kind: &Kind, loose: bool, out: &mut Vec<u8>) {
    match (kind, cell) {
        (_, Cell::Null) => out.extend_from_slice(b"null"),
        (Kind::Bool, Cell::Int(number @ 0..=1)) => {
            out.extend_from_slice(if number == 1 { b"true" } else { b"false" });
        }
        (Kind::Json, Cell::Text(text)) => write_document(text, loose, out),
        (Kind::Array(element), Cell::Text(text)) => write_array(text, element, out),
        (Kind::Float { bits: 32 }, Cell::Float(number)) => write_float32(number, out),
        (Kind::Float { .. }, Cell::Float(number)) => write_float(number, out),
        (Kind::Decimal | Kind::Json | Kind::Any, Cell::Float(number)) if number.is_finite() => {
            write_float(number, out)
        }
        (kind, Cell::Int(number)) if holds_integers(kind) => write_integer(number, out),
        (kind, Cell::UInt(number)) if holds_integers(kind) => write_integer(number, out),
        (Kind::Decimal, Cell::Decimal(digits)) => write_decimal(digits, out),
        (kind, Cell::Text(text)) if holds_text(kind) => write_text(text, out),
        (Kind::Bytes { .. }, Cell::Bytes(bytes)) => write_base64(bytes, out),
        (_, cell) => write_tagged(cell, out),
    }
}

/// Appends `text` as a JSON string.
pub(super) fn write_text(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect(NO_FAILURE);
}

pub(super) fn holds_integers(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Integer { .. } | Kind::Decimal | Kind::Year | Kind::Bit { .. } | Kind::Json | Kind::Any
    )
}

pub(super) fn holds_text(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Text { .. }
            | Kind::Date
            | Kind::Time
            | Kind::DateTime
            | Kind::Enum(_)
            | Kind::Set(_)
            | Kind::Uuid
            | Kind::Any
    )
}

fn write_integer(number: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Rust's debug form is the shortest that reads back as the same, and it always has a point or an exponent.
fn write_float(number: f64, out: &mut Vec<u8>) {
    if number.is_finite() {
        write!(out, "{number:?}").expect(NO_FAILURE);
    } else {
        out.extend_from_slice(not_finite(number));
    }
}

fn write_float32(number: f64, out: &mut Vec<u8>) {
    let narrow = number as f32;
    if narrow.is_finite() {
        write!(out, "{narrow:?}").expect(NO_FAILURE);
    } else {
        out.extend_from_slice(not_finite(number));
    }
}

fn not_finite(number: f64) -> &'static [u8] {
    match number {
        f64::INFINITY => b"\"Infinity\"",
        f64::NEG_INFINITY => b"\"-Infinity\"",
        _ => b"\"NaN\"",
    }
}

/// Digits as the database writes them are a JSON number, except PostgreSQL's `NaN` and `Infinity`.
fn write_decimal(digits: &str, out: &mut Vec<u8>) {
    if serde_json::from_str::<serde_json::Number>(digits).is_ok() {
        out.extend_from_slice(digits.as_bytes());
    } else {
        write_text(digits, out);
    }
}

fn write_base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
    out.push(b'"');
}

fn write_tagged(cell: Cell<'_>, out: &mut Vec<u8>) {
    let mut tag = |name: &str| write!(out, "{{\"${name}\":").expect(NO_FAILURE);
    match cell {
        Cell::Null => unreachable!("null needs no tag"),
        Cell::Int(number) => {
            tag("integer");
            write_integer(number, out);
        }
        Cell::UInt(number) => {
            tag("integer");
            write_integer(number, out);
        }
        Cell::Float(number) => {
            tag("real");
            write_float(number, out);
        }
        Cell::Decimal(text) | Cell::Text(text) => {
            tag("text");
            write_text(text, out);
        }
        Cell::Bytes(bytes) => {
            tag("bytes");
            write_base64(bytes, out);
        }
        Cell::NotUtf8(bytes) => {
            tag("text_bytes");
            write_base64(bytes, out);
        }
    }
    out.push(b'}');
}

/// An array is a JSON array; one whose places are not counted from 1 is tagged.
fn write_array(text: &str, element: &Kind, out: &mut Vec<u8>) {
    let start = out.len();
    if push_elements(text, element, out).is_none() {
        out.truncate(start);
        write_tagged(Cell::Text(text), out);
    }
}

/// A document stands in the row as it is, unless it would be taken for something else when it is read.
fn write_document(text: &str, loose: bool, out: &mut Vec<u8>) {
    let start = out.len();
    push_compact(text, out);
    let compact = &out[start..];
    // Nested deeper than the parser goes is treated like a text that is no JSON at all.
    let taken_for_another = serde_json::from_slice::<IgnoredAny>(compact).is_err()
        || compact == b"null"
        // The backslash may spell a `$`.
        || compact.starts_with(b"{\"$")
        || compact.starts_with(b"{\"\\")
        // A loose column turns a number's text into a number, so this text would come back as another class.
        || (loose && matches!(compact[0], b'-' | b'0'..=b'9'));
    if taken_for_another {
        out.truncate(start);
        write_tagged(Cell::Text(text), out);
    }
}

/// Appends JSON `text` without the white space between its tokens.
pub(super) fn push_compact(text: &str, out: &mut Vec<u8>) {
    let (mut in_string, mut escaped) = (false, false);
    for byte in text.bytes() {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            continue;
        } else {
            in_string = byte == b'"';
        }
        out.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::{Cell, Kind, write_cell};

    fn json(cell: Cell<'_>, kind: &Kind) -> String {
        let mut out = Vec::new();
        write_cell(cell, kind, true, &mut out);
        String::from_utf8(out).unwrap()
    }

    const INTEGER: Kind = Kind::Integer { bits: 64, unsigned: false };
    const TEXT: Kind = Kind::Text { exact: true };

    #[test]
    fn numbers_keep_every_digit() {
        assert_eq!(json(Cell::Int(i64::MIN), &INTEGER), "-9223372036854775808");
        assert_eq!(json(Cell::UInt(u64::MAX), &INTEGER), "18446744073709551615");
        let digits = "-12345678901234567890.123456789012345678901234567890";
        assert_eq!(json(Cell::Decimal(digits), &Kind::Decimal), digits);
        assert_eq!(json(Cell::Float(0.1), &Kind::Float { bits: 64 }), "0.1");
        assert_eq!(json(Cell::Float(f64::from(0.1_f32)), &Kind::Float { bits: 32 }), "0.1");
        assert_eq!(json(Cell::Float(-0.0), &Kind::Any), "-0.0");
        assert_eq!(json(Cell::Float(f64::INFINITY), &Kind::Float { bits: 64 }), "\"Infinity\"");
    }

    #[test]
    fn a_cell_of_another_class_is_tagged() {
        assert_eq!(json(Cell::Text("x"), &INTEGER), r#"{"$text":"x"}"#);
        assert_eq!(json(Cell::Bytes(&[0, 1]), &TEXT), r#"{"$bytes":"AAE="}"#);
        assert_eq!(json(Cell::NotUtf8(&[0xff]), &TEXT), r#"{"$text_bytes":"/w=="}"#);
        assert_eq!(json(Cell::Int(2), &Kind::Bool), r#"{"$integer":2}"#);
        assert_eq!(json(Cell::Float(f64::INFINITY), &Kind::Any), r#"{"$real":"Infinity"}"#);
    }

    #[test]
    fn a_document_stands_in_the_row_without_white_space() {
        let document = "{ \"a b\" : [ 1.50 , \"\\\" \" ] }";
        assert_eq!(json(Cell::Text(document), &Kind::Json), r#"{"a b":[1.50,"\" "]}"#);
    }

    #[test]
    fn a_document_that_could_be_mistaken_is_tagged() {
        assert_eq!(json(Cell::Text("null"), &Kind::Json), r#"{"$text":"null"}"#);
        assert_eq!(json(Cell::Text("{"), &Kind::Json), r#"{"$text":"{"}"#);
        assert_eq!(json(Cell::Text(r#"{"$text":1}"#), &Kind::Json), r#"{"$text":"{\"$text\":1}"}"#);
        assert_eq!(json(Cell::Text(""), &Kind::Json), r#"{"$text":""}"#);
    }
}
