// SPDX-License-Identifier: MIT OR Apache-2.0
//! An entry as bytes: the flags and the header before a value's payload.
//!
//! ```text
//! flags  bits 0-2 kind · bits 8-31 fingerprint
//! header u8 format = 1 · u64 key check · u64 version · u32 record flags · u32 ttl in s when stored
//! ```
//! Big-endian. No time of day is stored: the age of an entry is the ttl at its store less what is left of it
//! by the server's own clock.

use bytes::Bytes;
use throughline_core::{Entry, Fingerprint, Hit, Record, Version};

const FORMAT: u8 = 1;
/// Length of the header.
const HEADER_LEN: usize = 1 + 8 + 8 + 4 + 4;

const KIND_MASK: u32 = 0b111;
const FINGERPRINT_SHIFT: u32 = 8;

/// What an item on the server is, by its client flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A lease, if it has no bytes; otherwise not ours.
    None,
    Value,
    Mark,
    Negative,
    /// Nothing that we know.
    Unknown,
}

impl Kind {
    pub(super) fn of(flags: u32) -> Self {
        match flags & KIND_MASK {
            0 => Self::None,
            1 => Self::Value,
            2 => Self::Mark,
            3 => Self::Negative,
            _ => Self::Unknown,
        }
    }
}

/// The client flags of a mark.
pub(super) const MARK_FLAGS: u32 = 2;

/// The client flags of an entry.
pub(super) fn flags(entry: &Entry) -> u32 {
    let kind = if entry.is_negative() { 3 } else { 1 };
    kind | entry.fingerprint.bits() << FINGERPRINT_SHIFT
}

/// An entry's header and payload.
pub(super) fn encode(entry: &Entry, check: u64, ttl_s: u32) -> Vec<u8> {
    let (version, flags, payload) = match &entry.record {
        Some(record) => (record.version.0, record.flags, record.value.as_ref()),
        None => (0, 0, &[][..]),
    };
    let mut bytes = Vec::with_capacity(HEADER_LEN + payload.len());
    bytes.push(FORMAT);
    bytes.extend_from_slice(&check.to_be_bytes());
    bytes.extend_from_slice(&version.to_be_bytes());
    bytes.extend_from_slice(&flags.to_be_bytes());
    bytes.extend_from_slice(&ttl_s.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// What a value's bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decoded {
    /// An entry.
    Hit(Hit),
    /// The entry of another key.
    OtherKey,
    /// Not made by us, or by a version that writes another format.
    Foreign,
}

/// Reads back what [`encode`] made; `flags` are those of a value or a negative entry.
pub(super) fn decode(bytes: &Bytes, flags: u32, check: u64, ttl_left_s: u32) -> Decoded {
    let Some((header, _)) = bytes.split_first_chunk::<HEADER_LEN>() else {
        return Decoded::Foreign;
    };
    let [format, rest @ ..] = header;
    if *format != FORMAT {
        return Decoded::Foreign;
    }
    if u64_at(rest, 0) != check {
        return Decoded::OtherKey;
    }
    let ttl_s = u32_at(rest, 20);
    let record = (Kind::of(flags) == Kind::Value).then(|| Record {
        value: bytes.slice(HEADER_LEN..),
        version: Version(u64_at(rest, 8)),
        flags: u32_at(rest, 16),
    });
    let entry = Entry { record, fingerprint: Fingerprint::from_bits(flags >> FINGERPRINT_SHIFT) };
    let age_s = ttl_s.saturating_sub(ttl_left_s);
    Decoded::Hit(Hit::new(entry, u64::from(age_s) * 1_000, u64::from(ttl_left_s) * 1_000))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::{
        Bytes, Decoded, Entry, Fingerprint, HEADER_LEN, Hit, Record, Version, decode, encode, flags,
    };

    fn entry(record: Option<Record>) -> Entry {
        Entry { record, fingerprint: Fingerprint::from_bits(0xabcdef) }
    }

    fn record() -> Record {
        Record { value: "payload".into(), version: Version(u64::MAX), flags: 7 }
    }

    #[test]
    fn an_entry_survives() {
        for entry in [entry(Some(record())), entry(None)] {
            let bytes = Bytes::from(encode(&entry, 42, 300));
            let payload_len = entry.record.as_ref().map_or(0, |record| record.value.len());
            assert_eq!(bytes.len(), HEADER_LEN + payload_len);
            let Decoded::Hit(hit) = decode(&bytes, flags(&entry), 42, 290) else { panic!("no hit") };
            assert_eq!(hit, Hit::new(entry, 10_000, 290_000));
        }
    }

    #[test]
    fn the_format_is_as_documented() {
        let bytes = encode(&entry(Some(Record { flags: 0x0102_0304, ..record() })), 0x1122, 0x0506);
        let head = b"\x01\0\0\0\0\0\0\x11\x22\xff\xff\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04\0\0\x05\x06";
        assert_eq!(bytes, [&head[..], b"payload"].concat());
        assert_eq!(flags(&entry(Some(record()))), 0xabcd_ef01);
        assert_eq!(flags(&entry(None)), 0xabcd_ef03);
    }

    #[test]
    fn bytes_of_strangers_are_no_entry() {
        let whole = encode(&entry(Some(record())), 42, 300);
        let value = flags(&entry(Some(record())));
        for bytes in [&b""[..], b"\x01", b"any text that is longer than the header", &whole[..HEADER_LEN - 1]]
        {
            assert_eq!(decode(&Bytes::copy_from_slice(bytes), value, 42, 1), Decoded::Foreign);
        }
        assert_eq!(decode(&Bytes::from(whole), value, 43, 1), Decoded::OtherKey);
    }
}
