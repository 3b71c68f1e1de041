// SPDX-License-Identifier: MIT OR Apache-2.0
//! A resource with everything that can be said about it: for start-up lines, OpenAPI, and who reads them.

use std::sync::Arc;

use throughline_engine::{Behind, Space};

/// A resource that is served.
#[derive(Clone, Debug)]
pub struct Listing {
    /// Its reads and writes.
    pub space: Arc<Space>,
    /// What it is.
    pub about: About,
    /// Its accepted writes, if it is written behind.
    pub behind: Option<Arc<Behind>>,
}

/// What a resource is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// The source's name in the configuration and what it is: `shop (MariaDB 10.11, database shop)`.
    pub source: String,
    /// The table.
    pub table: String,
    /// The cache's name in the configuration and what it is, or `none`.
    pub cache: String,
    /// The primary key's columns, in order.
    pub key: Vec<String>,
    /// The columns of a JSON record, in order.
    pub fields: Vec<Field>,
    /// What a value is.
    pub format: Format,
    /// Why the level is what it is.
    pub level_reason: String,
    /// What to do for a higher level, if there is something to do.
    pub remedy: Option<String>,
    /// When another program's SQL is seen.
    pub others_seen: String,
}

/// What a value is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// The row as a JSON object.
    #[default]
    Json,
    /// The bytes of one column.
    Raw,
}

/// One column of a JSON record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The column's name.
    pub name: String,
    /// Its JSON type.
    pub json_type: JsonType,
    /// OpenAPI's `format` (`int64`, `date`, `byte`, …), if one fits.
    pub json_format: Option<&'static str>,
    /// Whether it may be null.
    pub nullable: bool,
    /// Whether a put must give it: it may not be null and has no default.
    pub required: bool,
    /// Whether the database computes it.
    pub read_only: bool,
}

/// The JSON type of a column's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonType {
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// A string.
    String,
    /// true or false.
    Boolean,
    /// Anything.
    Any,
}
