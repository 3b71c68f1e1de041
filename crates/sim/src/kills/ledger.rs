// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the writers know: of each key what was accepted, in its order.

use std::collections::BTreeMap;
use std::fmt;

/// How many writes of a resource are refused at most: an answer of the daemon lists a thousand dead letters.
const REFUSED_MAX: u64 = 900;

/// A resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Resource {
    /// Of several pending writes only the newest is applied, many keys in a statement.
    Newest,
    /// Each write is applied; a trigger of the database writes down that it was.
    Steps,
}

impl Resource {
    pub(super) const ALL: [Self; 2] = [Self::Newest, Self::Steps];

    /// The resource's name, and its table's.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Newest => "newest",
            Self::Steps => "steps",
        }
    }
}

/// A record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RecordId {
    pub(super) resource: Resource,
    pub(super) id: u64,
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.resource.name(), self.id)
    }
}

/// What a write does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Stores its number.
    Put,
    /// Stores its number with a minus, which the database refuses for good and nobody else knows of.
    Refused,
    Delete,
}

/// A write; the numbers of all writes of a run grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Write {
    pub(super) number: u64,
    pub(super) act: Act,
    /// The number of its receipt, if it was told.
    pub(super) receipt: Option<u64>,
}

impl Write {
    /// What readers see of it.
    pub(super) fn value(&self) -> Option<i64> {
        match self.act {
            Act::Put => Some(self.number.cast_signed()),
            Act::Refused => Some(-self.number.cast_signed()),
            Act::Delete => None,
        }
    }
}

/// What is known of a record.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// In their order.
    pub(super) accepted: Vec<Write>,
    /// A later one without an answer.
    pub(super) unanswered: Option<Write>,
}

impl Known {
    /// What readers must see.
    pub(super) fn value(&self) -> Option<i64> {
        self.accepted.last().and_then(Write::value)
    }

    /// What the row must be when all is applied.
    pub(super) fn row(&self) -> Option<i64> {
        let taken = self.accepted.iter().rev().find(|write| write.act != Act::Refused);
        taken.and_then(Write::value)
    }

    /// Takes in what a reader sees after a start, which decides about the write that was not answered; whether it is right.
    pub(super) fn decide(&mut self, seen: Option<i64>) -> bool {
        match self.unanswered.take().filter(|write| write.value() == seen) {
            Some(write) => self.accepted.push(write),
            None => return seen == self.value(),
        }
        true
    }

    /// Everything from this number on that may be in the source.
    pub(super) fn since(&self, number: u64) -> impl Iterator<Item = &Write> {
        let from = self.accepted.partition_point(|write| write.number < number);
        self.accepted[from..].iter().chain(&self.unanswered)
    }
}

/// What is known of all records.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) records: BTreeMap<RecordId, Known>,
    /// Writes whose acceptance was told.
    pub(super) accepted: u64,
    /// Writes that were answered with anything else.
    pub(super) declined: u64,
    newest: u64,
    refused: BTreeMap<Resource, u64>,
}

impl Ledger {
    /// Notes that a write is made, before it is.
    pub(super) fn begin(&mut self, record: RecordId, act: Act) -> Write {
        self.newest += 1;
        let refused = self.refused.entry(record.resource).or_default();
        let act = match act {
            Act::Refused if *refused == REFUSED_MAX => Act::Put,
            act => act,
        };
        *refused += u64::from(act == Act::Refused);
        let write = Write { number: self.newest, act, receipt: None };
        self.records.entry(record).or_default().unanswered = Some(write);
        write
    }

    /// Notes that it was accepted.
    pub(super) fn accept(&mut self, record: RecordId, write: Write) {
        self.accepted += 1;
        let known = self.records.entry(record).or_default();
        known.unanswered = None;
        known.accepted.push(write);
    }
}

#[cfg(test)]
mod tests {
    use super::{Act, Known, Write};

    fn write(number: u64, act: Act) -> Write {
        Write { number, act, receipt: None }
    }

    #[test]
    fn a_read_after_a_start_decides_about_the_write_without_an_answer() {
        let known = || Known { accepted: vec![write(1, Act::Put)], unanswered: Some(write(2, Act::Delete)) };
        let mut kept = known();
        assert!(kept.decide(None) && kept.accepted.len() == 2);
        let mut void = known();
        assert!(void.decide(Some(1)) && void.unanswered.is_none());
        assert!(!void.decide(None), "what was not there does not come later");
        assert!(!known().decide(Some(7)));
    }

    #[test]
    fn the_row_is_the_last_write_that_the_database_takes() {
        let accepted = vec![write(1, Act::Put), write(2, Act::Refused)];
        let known = Known { accepted, unanswered: None };
        assert_eq!((known.value(), known.row()), (Some(-2), Some(1)));
    }
}
