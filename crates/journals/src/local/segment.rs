// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bytes of one segment: a header, records, zeros.
//!
//! ```text
//! header   magic 8 · format 4 · zero 4 · segment 8 · first position 8 · crc 4 · zero 4
//! record   crc 4 · "tlr" 3 · kind 1 · length 4 · synced 4 · position 8 · payload · zeros to a multiple of 8
//! ```
//!
//! Numbers are little-endian. A record's CRC32C begins with the segment's number, so that what a disk kept from an
//! older file is not taken for a record. `synced` is how far the segment was known to be on disk when the record
//! was made: a damaged record before that place was acknowledged, one behind it may have been torn.

/// Bytes of the header.
pub(super) const HEADER_LEN: usize = 40;
/// Bytes of a record beside its payload.
pub(super) const RECORD_LEN: usize = 24;
/// The version of all this.
pub(super) const FORMAT: u32 = 1;

const MAGIC: [u8; 8] = *b"tl-jrnl\n";
const RECORD_MAGIC: [u8; 3] = *b"tlr";
const ALIGN: usize = 8;

/// The start of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) segment: u64,
    /// The position that the first entry in it has, or would have.
    pub(super) first: u64,
}

/// Why a header is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderFault {
    Damaged,
    /// Of a version that this program does not know.
    Format(u32),
}

impl Header {
    pub(super) fn encode(self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.segment.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.first.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..32]);
        bytes[32..36].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, HeaderFault> {
        let bytes = bytes.get(..HEADER_LEN).ok_or(HeaderFault::Damaged)?;
        if bytes[..8] != MAGIC || crc32c::crc32c(&bytes[..32]) != number4(&bytes[32..]) {
            return Err(HeaderFault::Damaged);
        }
        match number4(&bytes[8..]) {
            FORMAT => Ok(Self { segment: number8(&bytes[16..]), first: number8(&bytes[24..]) }),
            other => Err(HeaderFault::Format(other)),
        }
    }
}

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Something to keep.
    Entry,
    /// The entry at this position is done.
    Done,
    /// The entry at this position, which an older segment held that is removed.
    Moved,
}

/// A record, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) kind: Kind,
    pub(super) position: u64,
    pub(super) payload: &'a [u8],
    synced: u32,
    /// Bytes that it takes.
    len: usize,
}

/// Bytes that a record with this payload takes.
pub(super) const fn record_len(payload_len: usize) -> usize {
    RECORD_LEN + payload_len.next_multiple_of(ALIGN)
}

/// Appends a record of `segment` to `out`.
pub(super) fn encode(
    out: &mut Vec<u8>,
    segment: u64,
    kind: Kind,
    synced: u32,
    position: u64,
    payload: &[u8],
) {
    let start = out.len();
    let length = u32::try_from(payload.len()).expect("a record is smaller than a segment");
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&RECORD_MAGIC);
    out.push(match kind {
        Kind::Entry => b'e',
        Kind::Done => b'd',
        Kind::Moved => b'm',
    });
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&synced.to_le_bytes());
    out.extend_from_slice(&position.to_le_bytes());
    out.extend_from_slice(payload);
    let crc = checksum(segment, &out[start + 4..]);
    out[start..start + 4].copy_from_slice(&crc.to_le_bytes());
    out.resize(start + record_len(payload.len()), 0);
}

/// The record at the start of `bytes`, if there is a whole one.
fn decode(bytes: &[u8], segment: u64) -> Option<Record<'_>> {
    let head = bytes.get(..RECORD_LEN)?;
    if head[4..7] != RECORD_MAGIC {
        return None;
    }
    let kind = match head[7] {
        b'e' => Kind::Entry,
        b'd' => Kind::Done,
        b'm' => Kind::Moved,
        _ => return None,
    };
    let length = usize::try_from(number4(&head[8..])).ok()?;
    let whole = bytes.get(..RECORD_LEN.checked_add(length)?)?;
    if checksum(segment, &whole[4..]) != number4(head) {
        return None;
    }
    let (synced, position) = (number4(&head[12..]), number8(&head[16..]));
    Some(Record { kind, position, payload: &whole[RECORD_LEN..], synced, len: record_len(length) })
}

/// How a segment ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// Zeros.
    Clean,
    /// Something that was never known to be on disk.
    Torn,
    /// Damage to what had been acknowledged.
    Damaged,
}

/// Calls `each` with every whole record after the header; where they end, and what is there.
pub(super) fn scan<'a>(bytes: &'a [u8], segment: u64, mut each: impl FnMut(Record<'a>)) -> (usize, Tail) {
    let mut end = HEADER_LEN.min(bytes.len());
    while let Some(record) = decode(&bytes[end..], segment) {
        end = (end + record.len).min(bytes.len());
        each(record);
    }
    if bytes[end..].iter().all(|byte| *byte == 0) {
        return (end, Tail::Clean);
    }
    // Sectors reach the disk in any order, so a whole record further on proves damage only if it knows better.
    let later = (end.next_multiple_of(ALIGN)..bytes.len()).step_by(ALIGN);
    let mut later = later.filter_map(|place| decode(&bytes[place..], segment));
    let known = later.any(|record| usize::try_from(record.synced).is_ok_and(|synced| synced > end));
    (end, if known { Tail::Damaged } else { Tail::Torn })
}

fn checksum(segment: u64, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&segment.to_le_bytes()), bytes)
}

fn number4(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(bytes[..4].try_into().expect("four bytes"))
}

fn number8(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::{HEADER_LEN, Header, HeaderFault, Kind, Tail, encode, record_len, scan};

    fn three() -> Vec<u8> {
        let mut bytes = Header { segment: 7, first: 1 }.encode().to_vec();
        for (position, payload) in [(1, &b"one"[..]), (2, b""), (3, b"three and more")] {
            let synced = u32::try_from(bytes.len()).unwrap();
            encode(&mut bytes, 7, Kind::Entry, synced, position, payload);
        }
        bytes
    }

    fn positions(bytes: &[u8], segment: u64) -> (Vec<u64>, Tail) {
        let mut found = Vec::new();
        let (_, tail) = scan(bytes, segment, |record| found.push(record.position));
        (found, tail)
    }

    #[test]
    fn a_header_says_what_it_was_made_of_and_no_damage_passes() {
        let header = Header { segment: 3, first: 99 };
        let bytes = header.encode();
        assert_eq!(Header::decode(&bytes), Ok(header));
        for place in 0..36 {
            let mut damaged = bytes;
            damaged[place] ^= 0x40;
            assert_eq!(Header::decode(&damaged), Err(HeaderFault::Damaged), "byte {place}");
        }
    }

    #[test]
    fn a_tail_that_is_torn_at_any_byte_leaves_the_records_before_it() {
        let whole = three();
        let last = whole.len() - record_len(14);
        for cut in last..whole.len() {
            let mut torn = whole[..cut].to_vec();
            torn.resize(whole.len() + 100, 0);
            let (found, tail) = positions(&torn, 7);
            let complete = cut >= last + 24 + 14;
            assert_eq!(found.len(), if complete { 3 } else { 2 }, "cut at {cut}");
            assert!(tail == Tail::Clean || (tail == Tail::Torn && cut > last), "cut at {cut}: {tail:?}");
        }
    }

    #[test]
    fn damage_before_what_was_known_to_be_on_disk_is_told_from_a_torn_tail() {
        let whole = three();
        for place in HEADER_LEN..HEADER_LEN + 24 + 3 {
            let mut damaged = whole.clone();
            damaged[place] ^= 1;
            assert_eq!(positions(&damaged, 7), (vec![], Tail::Damaged), "byte {place}");
        }
    }

    #[test]
    fn a_record_of_another_segment_is_none() {
        assert_eq!(positions(&three(), 8), (vec![], Tail::Torn));
    }
}
