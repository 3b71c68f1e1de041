// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the journals hold: accepted writes in one, dead letters and what a drain must remember in the other. `MessagePack`, each an array that begins with
//! the format's number, so that a later version can tell.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use throughline_core::{Change, Condition, Error, ErrorKind, Key, Position, Result, Target, Version, Write};

const FORMAT: u8 = 1;

/// An accepted write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) resource: String,
    pub(super) lane: u16,
    pub(super) key: Key,
    pub(super) write: Write,
    /// Since 1970.
    pub(super) accepted_ms: u64,
}

/// What the journal of dead letters holds: the letters, what became of them, and what is tried at sources that keep no
/// watermark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LetterRecord {
    /// The write that had this place in the other journal is dead, for this reason.
    Dead { position: Position, kept: Kept, why: String, died_ms: u64 },
    /// A later write of its key is in the source, so the dead letter of this place is not shown to readers any more.
    Outlived { resource: String, position: Position },
    /// An operator has decided about the dead letter of this place.
    Resolved { resource: String, position: Position },
    /// A source that keeps no watermark is given a batch now: in this lane everything before `first` is settled, and what is
    /// pending up to `to` may be under way there. Nothing is if `to` is before `first`.
    Attempted { resource: String, lane: u16, first: Position, to: Position },
}

#[derive(Serialize, Deserialize)]
struct WireWrite<'a> {
    format: u8,
    #[serde(borrow)]
    resource: &'a str,
    lane: u16,
    #[serde(borrow)]
    key: &'a str,
    /// `None` deletes.
    #[serde(borrow, with = "serde_bytes")]
    value: Option<&'a [u8]>,
    flags: u32,
    /// The row's versions under which it is applied: nil for any state of the row, no version for no row. A list, because
    /// `MessagePack` has one nil only, and an option in an option would be read as nil.
    base: Option<Vec<u64>>,
    accepted_ms: u64,
}

#[derive(Serialize, Deserialize)]
enum WireLetter<'a> {
    Dead(u8, u64, #[serde(borrow)] WireWrite<'a>, &'a str, u64),
    Resolved(u8, &'a str, u64),
    Outlived(u8, &'a str, u64),
    Attempted(u8, &'a str, u16, u64, u64),
}

impl<'a> WireWrite<'a> {
    fn of(kept: &'a Kept) -> Self {
        let (value, flags) = match &kept.write.change {
            Change::Put { value, flags } => (Some(value.as_ref()), *flags),
            Change::Delete => (None, 0),
        };
        let base = match &kept.write.condition {
            Condition::Absent => Some(Vec::new()),
            Condition::Unchanged(versions) => Some(versions.iter().map(|version| version.0).collect()),
            Condition::Always | Condition::Present => None,
        };
        Self {
            format: FORMAT,
            resource: &kept.resource,
            lane: kept.lane,
            key: kept.key.as_str(),
            value,
            flags,
            base,
            accepted_ms: kept.accepted_ms,
        }
    }

    fn kept(self) -> Option<Kept> {
        let key = (self.format == FORMAT).then(|| Key::parse(self.key).ok())??;
        let change = match self.value {
            Some(value) => Change::Put { value: Bytes::copy_from_slice(value), flags: self.flags },
            None => Change::Delete,
        };
        let condition = match self.base {
            None => Condition::Always,
            Some(versions) if versions.is_empty() => Condition::Absent,
            Some(versions) => Condition::Unchanged(versions.into_iter().map(Version).collect()),
        };
        let write = Write { target: Target::Key(key.clone()), change, condition };
        Some(Kept {
            resource: self.resource.to_owned(),
            lane: self.lane,
            key,
            write,
            accepted_ms: self.accepted_ms,
        })
    }
}

impl Kept {
    pub(super) fn encode(&self) -> Bytes {
        encode(&WireWrite::of(self))
    }
}

impl LetterRecord {
    pub(super) fn encode(&self) -> Bytes {
        match self {
            Self::Dead { position, kept, why, died_ms } => {
                encode(&WireLetter::Dead(FORMAT, position.0, WireWrite::of(kept), why, *died_ms))
            }
            Self::Outlived { resource, position } => {
                encode(&WireLetter::Outlived(FORMAT, resource, position.0))
            }
            Self::Resolved { resource, position } => {
                encode(&WireLetter::Resolved(FORMAT, resource, position.0))
            }
            Self::Attempted { resource, lane, first, to } => {
                encode(&WireLetter::Attempted(FORMAT, resource, *lane, first.0, to.0))
            }
        }
    }
}

fn encode(wire: &impl Serialize) -> Bytes {
    rmp_serde::to_vec(wire).expect("a record has nothing that MessagePack cannot hold").into()
}

/// Reads an accepted write.
///
/// # Errors
/// [`ErrorKind::Corrupt`] for what no version up to this one wrote: it was acknowledged, so it must not be passed over.
pub(super) fn decode(bytes: &[u8]) -> Result<Kept> {
    rmp_serde::from_slice::<WireWrite<'_>>(bytes).ok().and_then(WireWrite::kept).ok_or_else(strange)
}

/// Reads what the journal of dead letters holds.
///
/// # Errors
/// As [`decode`].
pub(super) fn decode_letter(bytes: &[u8]) -> Result<LetterRecord> {
    let record = match rmp_serde::from_slice::<WireLetter<'_>>(bytes).ok() {
        Some(WireLetter::Dead(FORMAT, position, write, why, died_ms)) => write.kept().map(|kept| {
            LetterRecord::Dead { position: Position(position), kept, why: why.to_owned(), died_ms }
        }),
        Some(WireLetter::Outlived(FORMAT, resource, position)) => {
            Some(LetterRecord::Outlived { resource: resource.to_owned(), position: Position(position) })
        }
        Some(WireLetter::Resolved(FORMAT, resource, position)) => {
            Some(LetterRecord::Resolved { resource: resource.to_owned(), position: Position(position) })
        }
        Some(WireLetter::Attempted(FORMAT, resource, lane, first, to)) => {
            let (first, to) = (Position(first), Position(to));
            Some(LetterRecord::Attempted { resource: resource.to_owned(), lane, first, to })
        }
        _ => None,
    };
    record.ok_or_else(strange)
}

fn strange() -> Error {
    let detail = "it holds a record that this version cannot read; a newer version may have written it";
    Error::new(ErrorKind::Corrupt, "read the journal of accepted writes", detail)
}

/// The resources of which the journals hold accepted writes or dead letters, by name; what cannot be read is passed over.
pub fn journalled_resources(pending: &[(Position, Bytes)], letters: &[(Position, Bytes)]) -> Vec<String> {
    let writes = pending.iter().filter_map(|(_, bytes)| Some(decode(bytes).ok()?.resource));
    let letters = letters.iter().filter_map(|(_, bytes)| match decode_letter(bytes).ok()? {
        LetterRecord::Dead { kept, .. } => Some(kept.resource),
        _ => None,
    });
    let mut names: Vec<String> = Vec::new();
    for name in writes.chain(letters) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::{Kept, LetterRecord, decode, decode_letter};
    use throughline_core::{Change, Condition, ErrorKind, Key, Position, Target, Version, Write};

    fn kept(change: Change, condition: Condition) -> Kept {
        let key = Key::parse("a b,c").unwrap();
        let write = Write { target: Target::Key(key.clone()), change, condition };
        Kept { resource: "payment".to_owned(), lane: 7, key, write, accepted_ms: 1_700_000_000_000 }
    }

    #[test]
    fn records_say_what_they_were_made_of() {
        let put = || Change::Put { value: vec![0, 255, b'{'].into(), flags: 3 };
        for kept in [
            kept(put(), Condition::Always),
            kept(put(), Condition::Absent),
            kept(Change::Delete, Condition::Unchanged(vec![Version(9)])),
        ] {
            assert_eq!(decode(&kept.encode()).unwrap(), kept);
            let why = "no such account".to_owned();
            let dead = LetterRecord::Dead { position: Position(4), kept, why, died_ms: 5 };
            assert_eq!(decode_letter(&dead.encode()).unwrap(), dead);
        }
        let (resource, position) = ("payment".to_owned(), Position(4));
        for record in [
            LetterRecord::Outlived { resource: resource.clone(), position },
            LetterRecord::Resolved { resource: resource.clone(), position },
            LetterRecord::Attempted { resource, lane: 7, first: position, to: Position(9) },
        ] {
            assert_eq!(decode_letter(&record.encode()).unwrap(), record);
        }
    }

    #[test]
    fn what_is_no_record_or_of_another_format_is_refused() {
        let mut bytes = kept(Change::Delete, Condition::Always).encode().to_vec();
        for length in 0..bytes.len() {
            assert_eq!(decode(&bytes[..length]).unwrap_err().kind(), ErrorKind::Corrupt, "{length} bytes");
        }
        bytes[1] = 2;
        assert!(decode(&bytes).is_err(), "a later format");
        assert!(decode_letter(b"").is_err());
    }
}
