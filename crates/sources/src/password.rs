// SPDX-License-Identifier: MIT OR Apache-2.0
//! A password that is never shown.

use std::fmt;

/// A password that is never shown: its `Debug` says only whether there is one.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// The password `text`; an empty one means that none is sent.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The password for the driver, `None` when there is none.
    pub(crate) fn reveal(&self) -> Option<&str> {
        Some(self.0.as_str()).filter(|text| !text.is_empty())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "Password(none)" } else { "Password(hidden)" })
    }
}
