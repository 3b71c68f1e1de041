// SPDX-License-Identifier: MIT OR Apache-2.0
//! The versions of every key in the order of their commits, as the audit table tells it.

use std::collections::HashMap;
use std::io;

use super::breach::{Breach, Finding};
use super::verdict::Verdict;
use crate::history::{History, Kind, Operation, Outcome, Seen, ServedFrom};

/// One row of the audit table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Its place in the order of commits among rows of the same key.
    pub seq: u64,
    /// The key that was written.
    pub key: i64,
    /// What was stored: [`Seen::Absent`] when the row was removed.
    pub stored: Seen,
}

/// The versions of all keys.
#[derive(Debug)]
pub(super) struct Truth {
    keys: HashMap<i64, Versions>,
    unwritten: Versions,
}

/// The versions of one key, numbered from 0, which is the absence before the first write.
#[derive(Debug, Default)]
pub(super) struct Versions {
    /// For each version: the moment before which it cannot have been committed, because the writing of it or
    /// of an older one had not begun. Rises with the version.
    not_before_ns: Vec<u64>,
    /// What each version shows, sorted by that: the writing operation, or nothing for an absence. Absence
    /// comes many times; an operation more than once only when the system wrote it more than once.
    places: Vec<(Option<u64>, u32)>,
}

/// What an answer can mean.
#[derive(Debug)]
pub(super) enum Shown<'a> {
    /// No payload of this key.
    Garbled,
    /// A payload that was never committed under this key.
    Phantom,
    /// A value that did not exist yet when the answer was given.
    TooEarly,
    /// One of these versions, oldest first; never empty.
    OneOf(&'a [(Option<u64>, u32)]),
}

impl Truth {
    /// Puts the audit rows in order and notes what is already wrong with them.
    pub(super) fn build(history: &History, audit: &[AuditRow], verdict: &mut Verdict) -> io::Result<Self> {
        let mut puts: HashMap<u64, Operation> = HashMap::new();
        for operation in history.operations()? {
            let operation = operation?;
            if operation.kind == Kind::Put {
                puts.insert(operation.op, operation);
            }
        }
        let mut rows: Vec<&AuditRow> = audit.iter().collect();
        rows.sort_unstable_by_key(|row| row.seq);
        let mut keys: HashMap<i64, Versions> = HashMap::new();
        for row in rows {
            let versions = keys.entry(row.key).or_insert_with(Versions::unwritten);
            versions.push(row, &puts, verdict);
        }
        for versions in keys.values_mut() {
            versions.places.sort_unstable();
        }
        verdict.versions = audit.len() as u64;
        let truth = Self { keys, unwritten: Versions::unwritten() };
        truth.note_repeated(&puts, verdict);
        Ok(truth)
    }

    pub(super) fn of(&self, key: i64) -> &Versions {
        self.keys.get(&key).unwrap_or(&self.unwritten)
    }

    fn note_repeated(&self, puts: &HashMap<u64, Operation>, verdict: &mut Verdict) {
        for versions in self.keys.values() {
            for pair in versions.places.windows(2) {
                if pair[0].0 == pair[1].0
                    && let Some(operation) = pair[0].0.and_then(|op| puts.get(&op))
                {
                    let (breach, operation) = (Breach::Duplicated, *operation);
                    verdict.found(Finding { breach, operation, shown: Some(pair[1].1), floor: pair[0].1 });
                }
            }
        }
    }
}

impl Versions {
    fn unwritten() -> Self {
        Self { not_before_ns: vec![0], places: vec![(None, 0)] }
    }

    fn push(&mut self, row: &AuditRow, puts: &HashMap<u64, Operation>, verdict: &mut Verdict) {
        let version = self.not_before_ns.len() as u32;
        let newest_ns = *self.not_before_ns.last().expect("version 0 is always there");
        let mut found = |breach, operation| {
            verdict.found(Finding { breach, operation, shown: Some(version), floor: version });
        };
        let mut begin_ns = 0;
        match row.stored {
            Seen::Absent => self.places.push((None, version)),
            Seen::Garbled => found(Breach::CrossTalk, foreign(row, 0)),
            Seen::Value { op, .. } => {
                self.places.push((Some(op), version));
                match puts.get(&op).filter(|put| put.key == row.key) {
                    None => found(Breach::Phantom, foreign(row, op)),
                    Some(put) => {
                        begin_ns = put.begin_ns;
                        if put.outcome == Outcome::Fail {
                            found(Breach::RefusedButWritten, *put);
                        }
                    }
                }
            }
        }
        self.not_before_ns.push(newest_ns.max(begin_ns));
    }

    /// What an answer that ended at `end_ns` and showed `seen` can mean.
    pub(super) fn shown(&self, seen: Seen, end_ns: u64) -> Shown<'_> {
        let value = match seen {
            Seen::Garbled => return Shown::Garbled,
            Seen::Absent => None,
            Seen::Value { op, .. } => Some(op),
        };
        let places = self.places(value);
        let begun = places.partition_point(|(_, v)| self.not_before_ns[*v as usize] <= end_ns);
        match (places.len(), begun) {
            (0, _) => Shown::Phantom,
            (_, 0) => Shown::TooEarly,
            _ => Shown::OneOf(&places[..begun]),
        }
    }

    /// The versions that show `value`, oldest first.
    pub(super) fn places(&self, value: Option<u64>) -> &[(Option<u64>, u32)] {
        let start = self.places.partition_point(|(other, _)| *other < value);
        let end = self.places.partition_point(|(other, _)| *other <= value);
        &self.places[start..end]
    }
}

/// The oldest of these versions that is not below `floor`.
pub(super) fn at_least(places: &[(Option<u64>, u32)], floor: u32) -> Option<u32> {
    places.get(places.partition_point(|(_, version)| *version < floor)).map(|(_, version)| *version)
}

/// An operation that stands for a write that no worker made.
fn foreign(row: &AuditRow, op: u64) -> Operation {
    Operation {
        worker: u32::MAX,
        op,
        kind: Kind::Put,
        key: row.key,
        begin_ns: 0,
        end_ns: None,
        outcome: Outcome::Unknown,
        seen: row.stored,
        served: ServedFrom::Unsaid,
    }
}
