// SPDX-License-Identifier: MIT OR Apache-2.0
//! Between the driver's values and ours, without loss.

use mysql_async::Value as Wire;

use crate::sql::{Kind, Value};

/// What the server sent for a column of `kind`, whose fraction of a second has `digits` digits.
pub(super) fn from_wire(wire: Wire, kind: &Kind, digits: u8) -> Value {
    match wire {
        Wire::NULL => Value::Null,
        Wire::Bytes(bytes) => from_bytes(bytes, kind),
        Wire::Int(number) => match (kind, u64::try_from(number)) {
            (Kind::Integer { unsigned: true, .. } | Kind::Year, Ok(number)) => Value::UInt(number),
            _ => Value::Int(number),
        },
        Wire::UInt(number) => Value::UInt(number),
        Wire::Float(number) => Value::Float(number.into()),
        Wire::Double(number) => Value::Float(number),
        Wire::Date(year, month, day, hour, minute, second, micros) => {
            let mut text = format!("{year:04}-{month:02}-{day:02}");
            if *kind != Kind::Date {
                text.push_str(&format!(" {hour:02}:{minute:02}:{second:02}"));
                push_fraction(micros, digits, &mut text);
            }
            Value::Text(text)
        }
        Wire::Time(negative, days, hours, minutes, seconds, micros) => {
            let hours = days * 24 + u32::from(hours);
            let sign = if negative { "-" } else { "" };
            let mut text = format!("{sign}{hours:02}:{minutes:02}:{seconds:02}");
            push_fraction(micros, digits, &mut text);
            Value::Text(text)
        }
    }
}

fn from_bytes(bytes: Vec<u8>, kind: &Kind) -> Value {
    match kind {
        Kind::Bytes { .. } => Value::Bytes(bytes),
        Kind::Bit { .. } => Value::UInt(bytes.iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte))),
        _ => match String::from_utf8(bytes) {
            Ok(text) if *kind == Kind::Decimal => Value::Decimal(without_fill(text)),
            Ok(text) => Value::Text(text),
            Err(error) => Value::NotUtf8(error.into_bytes()),
        },
    }
}

/// Without the zeros that ZEROFILL puts in front, which no JSON number may have.
fn without_fill(digits: String) -> String {
    let rest = digits.trim_start_matches('0');
    if rest.len() == digits.len() {
        digits
    } else if rest.starts_with(|first: char| first.is_ascii_digit()) {
        rest.to_owned()
    } else {
        format!("0{rest}")
    }
}

fn push_fraction(micros: u32, digits: u8, text: &mut String) {
    // Beyond 6 the server means "unknown".
    let digits = usize::from(digits.min(6));
    if digits > 0 {
        text.push('.');
        text.push_str(&format!("{micros:06}")[..digits]);
    }
}

/// What the server takes for `value`.
pub(super) fn to_wire(value: Value) -> Wire {
    match value {
        Value::Null => Wire::NULL,
        Value::Int(number) => Wire::Int(number),
        Value::UInt(number) => Wire::UInt(number),
        Value::Float(number) => Wire::Double(number),
        Value::Decimal(text) | Value::Text(text) => Wire::Bytes(text.into_bytes()),
        Value::Bytes(bytes) | Value::NotUtf8(bytes) => Wire::Bytes(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::{Wire, from_wire};
    use crate::sql::{Kind, Value};

    fn text(wire: Wire, kind: &Kind, digits: u8) -> String {
        match from_wire(wire, kind, digits) {
            Value::Text(text) | Value::Decimal(text) => text,
            other => panic!("no text: {other:?}"),
        }
    }

    #[test]
    fn dates_and_times_are_written_as_the_server_writes_them() {
        let moment = Wire::Date(2024, 2, 29, 23, 59, 58, 120_000);
        assert_eq!(text(moment.clone(), &Kind::DateTime, 6), "2024-02-29 23:59:58.120000");
        assert_eq!(text(moment.clone(), &Kind::DateTime, 2), "2024-02-29 23:59:58.12");
        assert_eq!(text(moment.clone(), &Kind::DateTime, 0), "2024-02-29 23:59:58");
        assert_eq!(text(moment, &Kind::Date, 0), "2024-02-29");
        assert_eq!(text(Wire::Time(true, 34, 22, 59, 59, 7), &Kind::Time, 6), "-838:59:59.000007");
        assert_eq!(text(Wire::Date(0, 0, 0, 0, 0, 0, 0), &Kind::Date, 0), "0000-00-00");
    }

    #[test]
    fn decimals_lose_only_the_zeros_that_fill_them_up() {
        let decimal = |text_: &str| text(Wire::Bytes(text_.into()), &Kind::Decimal, 0);
        assert_eq!(decimal("0000.50"), "0.50");
        assert_eq!(decimal("0042"), "42");
        assert_eq!(decimal("0.00"), "0.00");
        assert_eq!(decimal("000"), "0");
        assert_eq!(decimal("-0.10"), "-0.10");
    }

    #[test]
    fn bits_are_a_number() {
        assert_eq!(from_wire(Wire::Bytes(vec![2, 1]), &Kind::Bit { bits: 10 }, 0), Value::UInt(513));
    }
}
