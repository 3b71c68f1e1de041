// SPDX-License-Identifier: MIT OR Apache-2.0
//! One cell of a row, between a driver's type and JSON.
//!
//! A cell of its column's own class is plain JSON, without loss:
//!
//! - whole numbers and decimals are numbers with all their digits, beyond 2^53 too;
//! - floating point is the shortest number that reads back as the same, always with a point or an exponent
//!   (`1.0`), and `"Infinity"`, `"-Infinity"` or `"NaN"` where it is none;
//! - text, dates, times, enums, sets and UUIDs are strings; bytes are a string of standard base64;
//! - an array is an array, nested by its dimensions;
//! - booleans are `true` and `false`; a JSON column's document stands in the row without its white space.
//!
//! Any other cell is tagged, an object with one member: `{"$integer":5}`, `{"$real":1.5}`, `{"$text":"x"}`,
//! `{"$bytes":"AAE="}`, and `{"$text_bytes":"/w=="}` for text that is not UTF-8. SQLite lets a column hold any
//! class, and there the tags are read as well as written. In a JSON column the documents `null` (which
//! would look like no value) and those that look like a tag are written as `{"$text":"null"}`,
//! as is an array whose places are not counted from 1 (`{"$text":"[0:1]={1,2}"}`).

/// A cell that is owned, to be bound to a statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// A whole number.
    Int(i64),
    /// A whole number beyond `i64`, or of an unsigned column.
    UInt(u64),
    /// Floating point.
    Float(f64),
    /// A decimal number's digits.
    Decimal(String),
    /// Text; also dates, times, enums, sets and JSON.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Text whose bytes are not UTF-8 (SQLite only).
    NotUtf8(Vec<u8>),
}

/// A cell as a row holds it, borrowed from the driver.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    /// No value.
    Null,
    /// A whole number.
    Int(i64),
    /// A whole number of an unsigned column.
    UInt(u64),
    /// Floating point.
    Float(f64),
    /// A decimal number's digits.
    Decimal(&'a str),
    /// Text; also dates, times, enums, sets and JSON.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Text whose bytes are not UTF-8 (SQLite only).
    NotUtf8(&'a [u8]),
}

impl Value {
    /// The same, borrowed.
    pub fn as_cell(&self) -> Cell<'_> {
        match self {
            Self::Null => Cell::Null,
            Self::Int(number) => Cell::Int(*number),
            Self::UInt(number) => Cell::UInt(*number),
            Self::Float(number) => Cell::Float(*number),
            Self::Decimal(digits) => Cell::Decimal(digits),
            Self::Text(text) => Cell::Text(text),
            Self::Bytes(bytes) => Cell::Bytes(bytes),
            Self::NotUtf8(bytes) => Cell::NotUtf8(bytes),
        }
    }
}

impl Cell<'_> {
    /// The number that a version or flags column holds; 0 for everything that is none.
    pub(super) fn as_counter(self) -> u64 {
        match self {
            // A version is compared for equality only, so a negative one keeps its bits.
            Self::Int(number) => number as u64,
            Self::UInt(number) => number,
            _ => 0,
        }
    }
}
