// SPDX-License-Identifier: MIT OR Apache-2.0
//! Between the driver's values and ours, without loss: the server writes and reads its own text for every type
//! but bytes.

use std::error::Error;
use std::fmt;

use bytes::{BufMut, BytesMut};
use tokio_postgres::Row;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};

use crate::sql::{Kind, Value, text_of_value, value_of_text};

/// What the server takes for a value.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Wire {
    Null,
    /// In the text form of whatever type the statement gives it.
    Text(String),
    /// Bytes for a `bytea`.
    Bytes(Vec<u8>),
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The driver writes parameters into its debug log.
        f.write_str("…")
    }
}

impl ToSql for Wire {
    fn to_sql(&self, _ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Null => return Ok(IsNull::Yes),
            Self::Text(text) => out.put_slice(text.as_bytes()),
            Self::Bytes(bytes) => out.put_slice(bytes),
        }
        Ok(IsNull::No)
    }

    fn accepts(_ty: &Type) -> bool {
        true
    }

    fn encode_format(&self, _ty: &Type) -> Format {
        match self {
            Self::Bytes(_) => Format::Binary,
            Self::Null | Self::Text(_) => Format::Text,
        }
    }

    to_sql_checked!();
}

/// What the server takes for `value`.
pub(super) fn to_wire(value: &Value) -> Wire {
    match value {
        Value::Bytes(bytes) => Wire::Bytes(bytes.clone()),
        value => text_of_value(value).map_or(Wire::Null, Wire::Text),
    }
}

/// The cell at a place of a row, whose column of `kind` was selected as text, or as it is if it holds bytes.
///
/// # Errors
/// When the column was altered since and holds another type.
pub(super) fn from_row(row: &Row, place: usize, kind: &Kind) -> Result<Value, tokio_postgres::Error> {
    let shown = if matches!(kind, Kind::Bytes { .. }) {
        row.try_get::<_, Option<&[u8]>>(place).map(|bytes| bytes.map(|bytes| Value::Bytes(bytes.to_vec())))
    } else {
        row.try_get::<_, Option<&str>>(place).map(|text| text.map(|text| value_of_text(text, kind)))
    };
    Ok(shown?.unwrap_or(Value::Null))
}
