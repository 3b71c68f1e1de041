// SPDX-License-Identifier: MIT OR Apache-2.0
//! The record.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A product. The id is the key of the record and not repeated here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Product {
    pub(crate) name: String,
    pub(crate) price_cents: i64,
    pub(crate) stock: i64,
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} cents, {} in stock", self.name, self.price_cents, self.stock)
    }
}
