// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a cache keeps of a key.

use crate::Record;

/// A 24-bit number that follows from what a cached value means: database, table, columns, format.
///
/// An entry with another fingerprint was made before the table was altered, or by a stranger, and is
/// never returned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint(u32);

impl Fingerprint {
    /// The fingerprint of `description`, which must name everything that changes a value's meaning.
    pub fn of(description: &[u8]) -> Self {
        let hash = blake3::hash(description);
        let [a, b, c, ..] = *hash.as_bytes();
        Self(u32::from_be_bytes([0, a, b, c]))
    }

    /// The fingerprint that was written down as `bits`; the upper 8 bits are dropped.
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits & 0x00ff_ffff)
    }

    /// The number, below 2^24.
    pub const fn bits(self) -> u32 {
        self.0
    }
}

/// What a cache keeps of a key: a record, or the knowledge that the source has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The record; `None` makes this a negative entry.
    pub record: Option<Record>,
    /// What the bytes mean.
    pub fingerprint: Fingerprint,
}

impl Entry {
    /// Whether this says that the source has no such key.
    pub fn is_negative(&self) -> bool {
        self.record.is_none()
    }
}
