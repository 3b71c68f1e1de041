// SPDX-License-Identifier: MIT OR Apache-2.0
//! A row as users see it.

use bytes::Bytes;

/// Tells two states of a record apart: what ETag and memcached's cas number are made of.
///
/// It comes from the resource's version column, or else from the record's bytes; then a record that
/// went from A to B and back to A has its first version again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(pub u64);

impl Version {
    /// The version of a record that has no version column: the first 64 bits of its bytes' BLAKE3 hash.
    pub fn of_content(value: &[u8]) -> Self {
        let hash = blake3::hash(value);
        let mut head = [0; 8];
        head.copy_from_slice(&hash.as_bytes()[..8]);
        Self(u64::from_be_bytes(head))
    }
}

/// A row as users see it: the final bytes, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Compact JSON, or the raw bytes of one column.
    pub value: Bytes,
    /// The state of the row that `value` shows.
    pub version: Version,
    /// The memcached client's flags of a raw record; 0 for JSON.
    pub flags: u32,
}

impl Record {
    /// A record without flags whose version follows from its bytes.
    pub fn from_content(value: impl Into<Bytes>) -> Self {
        let value = value.into();
        Self { version: Version::of_content(&value), value, flags: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::Record;

    #[test]
    fn equal_bytes_have_equal_versions_and_others_differ() {
        let a = Record::from_content("{\"id\":1}");
        assert_eq!(a.version, Record::from_content("{\"id\":1}").version);
        assert_ne!(a.version, Record::from_content("{\"id\":2}").version);
    }
}
