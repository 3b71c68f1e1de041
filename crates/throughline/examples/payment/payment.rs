// SPDX-License-Identifier: MIT OR Apache-2.0
//! The record.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A payment, as the bank keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Payment {
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
    pub(crate) amount: u64,
    pub(crate) currency: String,
}

/// What kind of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Kind {
    Payment,
}

impl fmt::Display for Payment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount, self.currency)
    }
}
