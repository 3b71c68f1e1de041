// SPDX-License-Identifier: MIT OR Apache-2.0
//! The record.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A person. The id is the key of the record and not repeated here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Person {
    pub(crate) first_name: String,
    pub(crate) last_name: String,
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.first_name, self.last_name)
    }
}
