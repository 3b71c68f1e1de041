// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an earlier process left: read, judged, made whole.

use std::collections::{HashMap, VecDeque};
use std::io;

use bytes::Bytes;
use throughline_core::{Error, ErrorKind, Position, Result};

use super::files::Files;
use super::log::{Found, Positions, Sealed, name};
use super::segment::{self, Header, HeaderFault, Kind, Tail};

/// What the segments hold.
pub(super) struct Recovered {
    pub(super) found: Found,
    /// Entries that are not done, in order.
    pub(super) pending: Vec<(Position, Bytes)>,
    /// Bytes of a torn tail that were cut off.
    pub(super) cut_bytes: u64,
}

/// Reads all segments, and cuts a torn tail off the last.
///
/// Everything that is read is on disk when this returns: an earlier process may have been killed between its
/// write and its sync, and what is told as pending must not be gone after the next loss of power.
pub(super) fn recover(files: &mut dyn Files) -> Result<Recovered> {
    let numbers = numbers(files)?;
    let mut reading = Reading::default();
    for (place, number) in numbers.iter().enumerate() {
        let is_last = place + 1 == numbers.len();
        reading.segment(files, *number, is_last)?;
    }
    let Reading { sealed, entries, moved, done, next, cut_bytes } = reading;
    // The number of one that was never used is taken again, or there would be a gap.
    let number = sealed.back().map_or_else(|| numbers.last().copied().unwrap_or(1), |last| last.number + 1);
    let pending = pending(entries, &moved, &done);
    let mut places: HashMap<Position, u64> = HashMap::new();
    let mut found = Found {
        sealed,
        pending: Positions::default(),
        moved: HashMap::default(),
        number,
        next: next.unwrap_or(1),
    };
    found.pending.reserve(pending.len());
    for (number, position, _) in moved {
        // Twice if the power went before the older place was removed; the last counts.
        places.insert(position, number);
    }
    for (Position(position), _) in &pending {
        found.pending.insert(*position);
        let place = match places.get(&Position(*position)) {
            Some(number) => {
                found.moved.insert(*position, *number);
                found.sealed.partition_point(|sealed| sealed.number < *number)
            }
            None => found.sealed.partition_point(|sealed| sealed.first <= *position) - 1,
        };
        found.sealed[place].pending += 1;
    }
    Ok(Recovered { found, pending, cut_bytes })
}

/// What is not done, once and in order.
fn pending(
    mut entries: Vec<(Position, Bytes)>,
    moved: &[(u64, Position, Bytes)],
    done: &Positions,
) -> Vec<(Position, Bytes)> {
    if !done.is_empty() {
        entries.retain(|(position, _)| !done.contains(&position.0));
    }
    if moved.is_empty() {
        return entries;
    }
    let is_pending = |position: &Position| !done.contains(&position.0);
    let again = moved.iter().filter(|(_, position, _)| is_pending(position));
    entries.extend(again.map(|(_, position, bytes)| (*position, bytes.clone())));
    entries.sort_by_key(|(position, _)| *position);
    entries.dedup_by_key(|(position, _)| *position);
    entries
}

/// The segments' numbers, which must be without a gap.
fn numbers(files: &mut dyn Files) -> Result<Vec<u64>> {
    let names = files.names().map_err(|error| unreadable("the folder", error))?;
    let number = |name: &String| u64::from_str_radix(name.strip_suffix(".log")?, 16).ok();
    let mut numbers: Vec<u64> = names.iter().filter_map(number).collect();
    numbers.sort_unstable();
    match numbers.windows(2).find(|pair| pair[0] + 1 != pair[1]) {
        Some(pair) => Err(damaged(&name(pair[0] + 1), "it is missing")),
        None => Ok(numbers),
    }
}

#[derive(Default)]
struct Reading {
    sealed: VecDeque<Sealed>,
    entries: Vec<(Position, Bytes)>,
    /// With the segment's number.
    moved: Vec<(u64, Position, Bytes)>,
    done: Positions,
    next: Option<u64>,
    cut_bytes: u64,
}

impl Reading {
    fn segment(&mut self, files: &mut dyn Files, number: u64, is_last: bool) -> Result<()> {
        let name = name(number);
        let failed = |error| unreadable(&name, error);
        let mut file = files.open(&name).map_err(failed)?;
        let bytes = file.read().map_err(failed)?;
        let header = match Header::decode(&bytes) {
            Ok(header) if header.segment == number => header,
            Ok(_) => return Err(damaged(&name, "it is another segment under this name")),
            Err(HeaderFault::Format(format)) => return Err(unknown_format(&name, format)),
            // It was being made when the power went, and nothing was acknowledged in it.
            Err(HeaderFault::Damaged) if is_last && is_unused(&bytes, number) => {
                files.remove(&name).and_then(|()| files.sync_folder()).map_err(failed)?;
                return Ok(());
            }
            Err(HeaderFault::Damaged) => return Err(damaged(&name, "its header is damaged")),
        };
        if self.next.is_some_and(|next| next != header.first) {
            return Err(damaged(&name, "entries before it are missing"));
        }
        let mut next = header.first;
        let (mut is_in_order, mut entries) = (true, 0);
        let (end, tail) = segment::scan(&bytes, number, |record| match record.kind {
            Kind::Done => {
                self.done.insert(record.position);
            }
            Kind::Moved => {
                entries += 1;
                let bytes = Bytes::copy_from_slice(record.payload);
                self.moved.push((number, Position(record.position), bytes));
            }
            Kind::Entry => {
                entries += 1;
                is_in_order &= record.position == next;
                next = record.position + 1;
                self.entries.push((Position(record.position), Bytes::copy_from_slice(record.payload)));
            }
        });
        match tail {
            _ if !is_in_order => return Err(damaged(&name, "entries in it are missing")),
            Tail::Clean => {}
            Tail::Torn if is_last => {
                self.cut_bytes = (bytes.len() - end) as u64;
                file.set_length(end as u64).map_err(failed)?;
            }
            Tail::Torn | Tail::Damaged => {
                return Err(damaged(&name, &format!("a record at byte {end} is damaged")));
            }
        }
        if is_last {
            file.sync().and_then(|()| files.sync_folder()).map_err(failed)?;
        }
        self.next = Some(next);
        let (first, used, bytes) = (header.first, end as u64, bytes.len() as u64);
        self.sealed.push_back(Sealed { number, first, entries, pending: 0, used, bytes });
        Ok(())
    }
}

/// Whether nothing was ever committed to the segment.
fn is_unused(bytes: &[u8], number: u64) -> bool {
    let mut records = 0;
    let (_, tail) = segment::scan(bytes, number, |_| records += 1);
    records == 0 && tail != Tail::Damaged
}

fn unreadable(what: &str, error: io::Error) -> Error {
    let detail = format!("{what} cannot be read: {}", error.kind());
    Error::new(ErrorKind::Unavailable, "open a journal", detail).with_cause(error)
}

fn damaged(name: &str, how: &str) -> Error {
    let detail = format!(
        "`{name}`: {how}, and it held what had been acknowledged; restore it from a copy of the folder, or move the \
         folder away, which gives up all that is pending in it"
    );
    Error::new(ErrorKind::Corrupt, "open a journal", detail)
}

fn unknown_format(name: &str, format: u32) -> Error {
    let detail = format!(
        "`{name}` has format {format}, and this program knows {}; open it with the newer program that made it",
        segment::FORMAT
    );
    Error::new(ErrorKind::Configuration, "open a journal", detail)
}
