// SPDX-License-Identifier: MIT OR Apache-2.0
//! Arrays, between PostgreSQL's text (`{1,NULL,"a b"}`) and JSON, element by element without loss.

use serde_json::value::RawValue;

use super::json::write_cell;
use super::read::read_cell;
use super::{Cell, Column, Kind, Value};

/// PostgreSQL's own limit.
const DIMENSION_COUNT_MAX: usize = 6;

/// The value that PostgreSQL's text for a cell of `kind` means.
pub fn value_of_text(text: &str, kind: &Kind) -> Value {
    let read = match kind {
        Kind::Integer { unsigned: false, .. } => text.parse().ok().map(Value::Int),
        Kind::Integer { unsigned: true, .. } => text.parse().ok().map(Value::UInt),
        Kind::Float { bits: 32 } => text.parse().ok().map(|number: f32| Value::Float(number.into())),
        Kind::Float { .. } => text.parse().ok().map(Value::Float),
        Kind::Decimal => Some(Value::Decimal(text.to_owned())),
        Kind::Bool => match text {
            "t" | "true" | "1" => Some(Value::Int(1)),
            "f" | "false" | "0" => Some(Value::Int(0)),
            _ => None,
        },
        Kind::Bytes { .. } => text.strip_prefix("\\x").and_then(bytes_of_hex).map(Value::Bytes),
        _ => None,
    };
    read.unwrap_or_else(|| Value::Text(text.to_owned()))
}

/// The text that PostgreSQL reads as `value`; `None` for null.
pub(crate) fn text_of_value(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        Value::Int(number) => number.to_string(),
        Value::UInt(number) => number.to_string(),
        Value::Float(number) if number.is_nan() => "NaN".to_owned(),
        Value::Float(number) if number.is_infinite() => {
            if *number > 0.0 {
                "Infinity".to_owned()
            } else {
                "-Infinity".to_owned()
            }
        }
        Value::Float(number) => format!("{number:?}"),
        Value::Decimal(text) | Value::Text(text) => text.clone(),
        Value::Bytes(bytes) | Value::NotUtf8(bytes) => hex_of_bytes(bytes),
    })
}

/// Appends a text as an element of an array's text.
pub(crate) fn push_quoted(text: &str, array: &mut String) {
    array.push('"');
    for char in text.chars() {
        if matches!(char, '"' | '\\') {
            array.push('\\');
        }
        array.push(char);
    }
    array.push('"');
}

/// Appends an array's text as JSON; `None` when it is not the text of an array whose places are counted from 1.
pub(super) fn push_elements(text: &str, element: &Kind, out: &mut Vec<u8>) -> Option<()> {
    let rest = push_level(text, element, 1, out)?;
    rest.is_empty().then_some(())
}

/// Appends what stands between two braces, and returns what stands behind them.
fn push_level<'t>(text: &'t str, element: &Kind, depth: usize, out: &mut Vec<u8>) -> Option<&'t str> {
    let mut rest = text.strip_prefix('{').filter(|_| depth <= DIMENSION_COUNT_MAX)?;
    out.push(b'[');
    if let Some(rest) = rest.strip_prefix('}') {
        out.push(b']');
        return Some(rest);
    }
    loop {
        rest = if rest.starts_with('{') {
            push_level(rest, element, depth + 1, out)?
        } else {
            let (text, behind) = element_text(rest)?;
            match text {
                Some(text) => write_cell(value_of_text(&text, element).as_cell(), element, false, out),
                None => write_cell(Cell::Null, element, false, out),
            }
            behind
        };
        if let Some(behind) = rest.strip_prefix('}') {
            out.push(b']');
            return Some(behind);
        }
        rest = rest.strip_prefix(',')?;
        out.push(b',');
    }
}

/// The text of the element that begins here, `None` for null, and what stands behind it.
fn element_text(text: &str) -> Option<(Option<String>, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (word, rest) = text.split_at(text.find([',', '}'])?);
        let is_null = word.eq_ignore_ascii_case("null");
        return Some(((!is_null).then(|| word.to_owned()), rest));
    };
    let mut found = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((Some(found), &quoted[at + 1..])),
            '\\' => found.push(chars.next()?.1),
            _ => found.push(char),
        }
    }
    None
}

/// The array's text that a JSON array means; `None` when an element is none of `element`.
pub(super) fn array_of_json(json: &str, element: &Kind) -> Option<String> {
    let mut array = String::new();
    push_json_level(json, &Column::new("", element.clone()), 1, &mut array)?;
    Some(array)
}

fn push_json_level(json: &str, element: &Column, depth: usize, array: &mut String) -> Option<()> {
    let members: Vec<&RawValue> = serde_json::from_str(json).ok()?;
    if depth > DIMENSION_COUNT_MAX {
        return None;
    }
    array.push('{');
    for (place, member) in members.into_iter().enumerate() {
        if place > 0 {
            array.push(',');
        }
        if member.get().starts_with('[') {
            push_json_level(member.get(), element, depth + 1, array)?;
            continue;
        }
        match text_of_value(&read_cell(member.get(), element)?) {
            Some(text) => push_quoted(&text, array),
            None => array.push_str("NULL"),
        }
    }
    array.push('}');
    Some(())
}

fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
    if rest.is_empty() { bytes } else { None }
}

fn hex_of_bytes(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 + 2 * bytes.len());
    text.push_str("\\x");
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(digit.into(), 16).expect("four bits are a digit"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{array_of_json, push_elements};
    use crate::sql::Kind;

    const TEXT: Kind = Kind::Text { exact: true };
    const INTEGER: Kind = Kind::Integer { bits: 32, unsigned: false };

    fn json(text: &str, element: &Kind) -> Option<String> {
        let mut out = Vec::new();
        push_elements(text, element, &mut out)?;
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn arrays_become_json_and_come_back() {
        let bytes = Kind::Bytes { fixed: None };
        for (text, element, shown) in [
            ("{}", &TEXT, "[]"),
            (r#"{a,NULL,"null","","b c","d\"e\\f,}"}"#, &TEXT, r#"["a",null,"null","","b c","d\"e\\f,}"]"#),
            ("{{1,2},{3,NULL}}", &INTEGER, "[[1,2],[3,null]]"),
            ("{1.50,NaN,-Infinity}", &Kind::Decimal, r#"[1.50,"NaN","-Infinity"]"#),
            ("{0.1,Infinity}", &Kind::Float { bits: 32 }, r#"[0.1,"Infinity"]"#),
            ("{t,f}", &Kind::Bool, "[true,false]"),
            (r#"{"\\x00ff","\\x"}"#, &bytes, r#"["AP8=",""]"#),
        ] {
            assert_eq!(json(text, element).as_deref(), Some(shown));
            let back = array_of_json(shown, element).unwrap();
            assert_eq!(json(&back, element).as_deref(), Some(shown), "{back}");
        }
    }

    #[test]
    fn what_is_no_plain_array_is_left_to_a_tag() {
        for text in ["[0:1]={1,2}", "{1", "{1}x", "{1;2}{", "", "{\"a"] {
            assert_eq!(json(text, &TEXT), None, "{text}");
        }
    }

    #[test]
    fn elements_of_another_type_are_refused() {
        assert_eq!(array_of_json("[1,\"2\"]", &INTEGER), None);
        assert_eq!(array_of_json("1", &INTEGER), None);
        assert_eq!(array_of_json("[[[[[[[1]]]]]]]", &INTEGER), None);
        assert_eq!(array_of_json("[2147483648]", &INTEGER), None);
    }
}
