// SPDX-License-Identifier: MIT OR Apache-2.0
//! A journal on a disk of the tests.

use bytes::Bytes;
use futures_util::future::join_all;
use throughline_core::{Journal as _, Position, Result};
use throughline_journals::{LocalJournal, LocalJournalConfig, Opened};

use throughline_testkit::Disk;

/// Small segments, so that there are many.
pub(crate) fn config() -> LocalJournalConfig {
    LocalJournalConfig {
        segment_bytes: 4_096,
        bytes_max: 1 << 20,
        ..LocalJournalConfig::new("unused".into())
    }
}

pub(crate) fn open(disk: &Disk) -> Result<Opened> {
    LocalJournal::open_on(disk.files(), &config())
}

pub(crate) fn record(number: u64) -> Bytes {
    // Longer than a sector now and then.
    let mut record = number.to_le_bytes().to_vec();
    record.resize(8 + (number % 7 * 130) as usize, number as u8);
    record.into()
}

/// Appends all at once, so that they share their syncs.
pub(crate) async fn append_all(
    journal: &LocalJournal,
    numbers: impl Iterator<Item = u64>,
) -> Vec<Result<Position>> {
    join_all(numbers.map(|number| journal.append(record(number)))).await
}

/// The numbers that are pending; panics on garbage.
pub(crate) fn numbers(opened: &Opened) -> Vec<u64> {
    let number = |(_, bytes): &(Position, Bytes)| {
        let number = u64::from_le_bytes(bytes[..8].try_into().unwrap());
        assert_eq!(*bytes, record(number), "a record is told whole or not at all");
        number
    };
    let positions: Vec<_> = opened.pending.iter().map(|(position, _)| *position).collect();
    assert!(positions.is_sorted(), "records are told in order");
    opened.pending.iter().map(number).collect()
}
