// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bounds: slow down, refuse, never drop; and room comes back.

use throughline_core::{ErrorKind, Journal as _};
use throughline_journals::{LocalJournal, LocalJournalConfig};

use crate::bed::{append_all, config, numbers, open, record};
use throughline_testkit::Disk;

#[tokio::test(start_paused = true)]
async fn beyond_its_entries_a_journal_refuses_and_forgets_nothing() {
    let disk = Disk::new();
    let bounds = LocalJournalConfig { entry_count_max: 20, ..config() };
    let opened = LocalJournal::open_on(disk.files(), &bounds).unwrap();
    let mut accepted = Vec::new();
    for number in 0..20 {
        accepted.push(opened.journal.append(record(number)).await.unwrap());
    }
    let error = opened.journal.append(record(20)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    opened.journal.confirm(&accepted[..5]);
    while opened.journal.stats().entries > 15 {
        tokio::task::yield_now().await;
    }
    opened.journal.append(record(21)).await.unwrap();
    drop(opened);
    assert_eq!(numbers(&open(&disk).unwrap()), (5..20).chain([21]).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn near_its_bound_a_journal_slows_down() {
    let bounds = LocalJournalConfig { entry_count_max: 20, ..config() };
    let opened = LocalJournal::open_on(Disk::new().files(), &bounds).unwrap();
    let start = tokio::time::Instant::now();
    append_all(&opened.journal, 0..15).await;
    assert_eq!(start.elapsed().as_millis(), 0);
    for number in 15..20 {
        opened.journal.append(record(number)).await.unwrap();
    }
    assert!(start.elapsed().as_millis() >= 20);
}

#[tokio::test(start_paused = true)]
async fn beyond_its_bytes_a_journal_refuses_until_something_is_done() {
    let disk = Disk::new();
    let bounds = LocalJournalConfig { bytes_max: 5 * 4_096, ..config() };
    let opened = LocalJournal::open_on(disk.files(), &bounds).unwrap();
    let mut accepted = Vec::new();
    let error = loop {
        match opened.journal.append(record(6)).await {
            Ok(position) => accepted.push(position),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    assert!(opened.journal.stats().bytes <= 5 * 4_096);
    opened.journal.confirm(&accepted);
    while opened.journal.stats().entries > 0 {
        tokio::task::yield_now().await;
    }
    opened.journal.append(record(6)).await.unwrap();
}

#[tokio::test]
async fn segments_in_which_everything_is_done_are_removed() {
    let disk = Disk::new();
    let opened = open(&disk).unwrap();
    for round in 0..50 {
        let answers = append_all(&opened.journal, round * 10..round * 10 + 10).await;
        opened.journal.confirm(&answers.into_iter().map(Result::unwrap).collect::<Vec<_>>());
    }
    append_all(&opened.journal, 1_000..=1_000).await.remove(0).unwrap();
    assert!(disk.names().len() <= 2, "{:?}", disk.names());
    drop(opened);
    assert_eq!(numbers(&open(&disk).unwrap()), [1_000]);
}

#[tokio::test]
async fn records_that_nobody_confirms_keep_no_room_from_others() {
    let disk = Disk::new();
    let bounds = LocalJournalConfig { bytes_max: 8 * 4_096, ..config() };
    let opened = LocalJournal::open_on(disk.files(), &bounds).unwrap();
    let mut kept = Vec::new();
    for number in 0..1_000 {
        let position = opened.journal.append(record(number)).await.unwrap();
        match number {
            3 | 5 | 400 => kept.push((number, position)),
            _ => opened.journal.confirm(&[position]),
        }
    }
    drop(opened);
    for lives in 0..3 {
        let opened = LocalJournal::open_on(disk.files(), &bounds).unwrap();
        assert_eq!(numbers(&opened), [3, 5, 400], "after {lives} more lives");
        let positions: Vec<_> = opened.pending.iter().map(|(position, _)| *position).collect();
        assert_eq!(positions, kept.iter().map(|(_, position)| *position).collect::<Vec<_>>());
        for number in 0..300 {
            let position = opened.journal.append(record(number)).await.unwrap();
            opened.journal.confirm(&[position]);
        }
        opened.journal.flush().await.unwrap();
    }
    for _ in 0..30 {
        drop(LocalJournal::open_on(disk.files(), &bounds).unwrap());
    }
    assert!(disk.names().len() <= 6, "{:?}", disk.names());
    let opened = LocalJournal::open_on(disk.files(), &bounds).unwrap();
    opened.journal.confirm(&[kept[1].1]);
    opened.journal.flush().await.unwrap();
    drop(opened);
    assert_eq!(numbers(&open(&disk).unwrap()), [3, 400], "what was moved is done like any other");
}

#[tokio::test]
async fn a_record_that_no_segment_takes_is_refused() {
    let opened = open(&Disk::new()).unwrap();
    let error = opened.journal.append(vec![1; 3_000].into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}
