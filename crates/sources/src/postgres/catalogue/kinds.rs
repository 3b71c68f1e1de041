// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a type of the database holds.

use std::collections::HashMap;

use tokio_postgres::Row;
use tokio_postgres::types::Oid;

use super::{flag, oid, text};
use crate::sql::Kind;

/// Domains may stand on domains; more than this is a circle, which the server does not allow.
const DOMAIN_DEPTH_MAX: usize = 32;

/// Every type of the database.
pub(super) struct Kinds {
    types: HashMap<Oid, Known>,
}

struct Known {
    /// Its name, if PostgreSQL itself brings it.
    own_name: Option<String>,
    /// The type that a domain stands on.
    base: Option<Oid>,
    /// What an array holds.
    element: Option<Oid>,
    labels: Option<Vec<String>>,
    refuses_null: bool,
    default: Option<String>,
}

impl Kinds {
    pub(super) fn read(types: &[Row], labels: &[Row]) -> Self {
        let known = |row: &Row| {
            let class = text(row, 3);
            let known = Known {
                own_name: (text(row, 1) == "pg_catalog").then(|| text(row, 2)),
                base: (class == "d").then(|| oid(row, 4)),
                element: Some(oid(row, 5)).filter(|oid| *oid != 0),
                labels: (class == "e").then(Vec::new),
                refuses_null: flag(row, 6),
                default: row.try_get(7).ok().flatten(),
            };
            (oid(row, 0), known)
        };
        let mut types: HashMap<Oid, Known> = types.iter().map(known).collect();
        for row in labels {
            if let Some(labels) = types.get_mut(&oid(row, 0)).and_then(|known| known.labels.as_mut()) {
                labels.push(text(row, 1));
            }
        }
        Self { types }
    }

    /// What a column of this type holds; `exact` says whether its collation tells texts apart byte by byte.
    pub(super) fn of(&self, oid: Oid, exact: bool) -> Kind {
        let Some(known) = self.domains(oid).last() else { return Kind::Text { exact: false } };
        if let Some(element) = known.element {
            return match self.of(element, exact) {
                // In JSON their elements would be taken for further dimensions.
                Kind::Json | Kind::Array(_) => Kind::Text { exact: false },
                element => Kind::Array(Box::new(element)),
            };
        }
        if let Some(labels) = &known.labels {
            return Kind::Enum(labels.clone());
        }
        let integer = |bits, unsigned| Kind::Integer { bits, unsigned };
        match known.own_name.as_deref() {
            Some("int2") => integer(16, false),
            Some("int4") => integer(32, false),
            Some("int8") => integer(64, false),
            Some("oid") => integer(32, true),
            Some("numeric") => Kind::Decimal,
            Some("float4") => Kind::Float { bits: 32 },
            Some("float8") => Kind::Float { bits: 64 },
            Some("bool") => Kind::Bool,
            Some("bytea") => Kind::Bytes { fixed: None },
            Some("date") => Kind::Date,
            Some("time" | "timetz" | "interval") => Kind::Time,
            Some("timestamp" | "timestamptz") => Kind::DateTime,
            Some("json" | "jsonb") => Kind::Json,
            Some("uuid") => Kind::Uuid,
            Some("text" | "varchar") => Kind::Text { exact },
            // As PostgreSQL writes it, which it also reads: addresses, ranges, bits, money, rows, shapes, …
            _ => Kind::Text { exact: false },
        }
    }

    /// Whether a domain refuses null.
    pub(super) fn refuses_null(&self, oid: Oid) -> bool {
        self.domains(oid).any(|known| known.refuses_null)
    }

    /// The default that a domain brings.
    pub(super) fn default(&self, oid: Oid) -> Option<String> {
        self.domains(oid).filter(|known| known.base.is_some()).find_map(|known| known.default.clone())
    }

    /// A type, and what it stands on if it is a domain.
    fn domains(&self, oid: Oid) -> impl Iterator<Item = &Known> {
        let mut next = self.types.get(&oid);
        std::iter::from_fn(move || {
            let known = next?;
            next = known.base.and_then(|base| self.types.get(&base));
            Some(known)
        })
        .take(DOMAIN_DEPTH_MAX)
    }
}
