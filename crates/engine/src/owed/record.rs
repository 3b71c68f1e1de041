// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is owed, as a record of a journal: format 1 · what 1 · length of the resource's name 1 · name · key.

use bytes::Bytes;
use throughline_core::{Key, ResourceName};

const FORMAT: u8 = 1;
const ONE_KEY: u8 = b'k';
const ALL_KEYS: u8 = b'a';

/// One invalidation that is owed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OwedRecord {
    pub(super) resource: String,
    /// `None` for all keys of the resource.
    pub(super) key: Option<Key>,
}

pub(super) fn encode(resource: &ResourceName, key: Option<&Key>) -> Bytes {
    let name = resource.as_str();
    let length = u8::try_from(name.len()).expect("a resource's name has at most 64 bytes");
    let mut bytes = vec![FORMAT, key.map_or(ALL_KEYS, |_| ONE_KEY), length];
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(key.map_or("", Key::as_str).as_bytes());
    bytes.into()
}

/// `None` for a record of another kind or format.
pub(super) fn decode(bytes: &[u8]) -> Option<OwedRecord> {
    let (head, rest) = bytes.split_at_checked(3)?;
    let (name, key) = rest.split_at_checked(usize::from(head[2]))?;
    let resource = std::str::from_utf8(name).ok()?.to_owned();
    let key = match (head[0], head[1]) {
        (FORMAT, ONE_KEY) => Some(Key::parse(std::str::from_utf8(key).ok()?).ok()?),
        (FORMAT, ALL_KEYS) => None,
        _ => return None,
    };
    Some(OwedRecord { resource, key })
}

#[cfg(test)]
mod tests {
    use super::{OwedRecord, decode, encode};
    use throughline_core::{Key, ResourceName};

    #[test]
    fn a_record_says_what_it_was_made_of_and_nothing_else_is_one() {
        let name = ResourceName::new("person").unwrap();
        for key in [Some(Key::parse("a b,c").unwrap()), None] {
            let bytes = encode(&name, key.as_ref());
            assert_eq!(decode(&bytes), Some(OwedRecord { resource: "person".to_owned(), key }));
            for length in 0..9 {
                assert_eq!(decode(&bytes[..length]), None);
            }
        }
        assert_eq!(decode(b"\x02k\x01pk"), None);
    }
}
