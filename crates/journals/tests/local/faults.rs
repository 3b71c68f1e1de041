// SPDX-License-Identifier: MIT OR Apache-2.0
//! A disk that fails, and callers who leave.

use std::io::ErrorKind as Io;

use futures_util::FutureExt as _;
use throughline_core::{ErrorKind, Journal as _, Rng};

use crate::bed::{append_all, numbers, open, record};
use throughline_testkit::{Disk, DiskOp as Op};

#[tokio::test]
async fn a_sync_that_failed_poisons_the_journal_and_is_not_tried_again() {
    let disk = Disk::new();
    let opened = open(&disk).unwrap();
    append_all(&opened.journal, 1..=1).await.remove(0).unwrap();
    disk.fail_next(Op::Sync, Io::Other);
    let error = append_all(&opened.journal, 2..=2).await.remove(0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
    let syncs = disk.syncs();
    let error = append_all(&opened.journal, 3..=3).await.remove(0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    drop(opened);
    assert_eq!(disk.syncs(), syncs);
    assert_eq!(numbers(&open(&disk).unwrap())[0], 1);
}

#[tokio::test]
async fn a_write_that_failed_poisons_the_journal() {
    let disk = Disk::new();
    let opened = open(&disk).unwrap();
    disk.fail_next(Op::Write, Io::Other);
    for _ in 0..2 {
        assert!(append_all(&opened.journal, 1..=1).await.remove(0).is_err());
    }
}

#[tokio::test]
async fn a_folder_whose_sync_failed_poisons_the_journal() {
    let disk = Disk::new();
    let opened = open(&disk).unwrap();
    disk.fail_next(Op::SyncFolder, Io::Other);
    let answers = append_all(&opened.journal, 0..60).await;
    assert!(answers.last().unwrap().is_err());
    assert!(append_all(&opened.journal, 1..=1).await.remove(0).is_err());
}

#[tokio::test]
async fn a_write_cut_short_by_a_full_disk_leaves_nothing_that_could_come_back() {
    let disk = Disk::new();
    let opened = open(&disk).unwrap();
    append_all(&opened.journal, 1..=1).await.remove(0).unwrap();
    disk.fail_next(Op::Write, Io::StorageFull);
    // Half of the first group is on the disk, whole records among it.
    let answers = append_all(&opened.journal, 10..14).await;
    assert_eq!(answers[0].as_ref().unwrap_err().kind(), ErrorKind::Overloaded);
    append_all(&opened.journal, 2..=2).await.remove(0).unwrap();
    drop(opened);
    let accepted = (10..14).zip(&answers).filter(|(_, answer)| answer.is_ok()).map(|(number, _)| number);
    assert_eq!(
        numbers(&open(&disk).unwrap()),
        [1].into_iter().chain(accepted).chain([2]).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_full_disk_refuses_and_room_again_accepts() {
    let disk = Disk::new();
    let opened = open(&disk).unwrap();
    disk.set_room(Some(10_000));
    let answers = append_all(&opened.journal, 0..60).await;
    let accepted = answers.iter().filter(|answer| answer.is_ok()).count();
    assert!((1..60).contains(&accepted));
    assert_eq!(answers.last().unwrap().as_ref().unwrap_err().kind(), ErrorKind::Overloaded);
    disk.set_room(None);
    append_all(&opened.journal, 100..=100).await.remove(0).unwrap();
    drop(opened);
    let told = numbers(&open(&disk).unwrap());
    assert_eq!((told.len(), *told.last().unwrap()), (accepted + 1, 100));
}

#[tokio::test]
async fn what_was_flushed_does_not_come_back_and_a_full_disk_says_that_it_may() {
    for flushes in [true, false] {
        let disk = Disk::new();
        let opened = open(&disk).unwrap();
        let mut kept = Vec::new();
        for answer in append_all(&opened.journal, 0..9).await {
            kept.push(answer.unwrap());
        }
        // Neither this segment takes the marks, nor is there another one.
        disk.fail_next(Op::Write, Io::StorageFull);
        disk.set_room(Some(0));
        opened.journal.confirm(&kept[..6]);
        assert_eq!(opened.journal.flush().await.unwrap_err().kind(), ErrorKind::Overloaded);
        disk.set_room(None);
        if flushes {
            opened.journal.flush().await.unwrap();
        }
        disk.power_off_after(0);
        drop(opened);
        disk.lose_power(&Rng::from_seed(3));
        let told = numbers(&open(&disk).unwrap());
        assert_eq!(told, if flushes { 6..9 } else { 0..9 }.collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn an_append_that_was_dropped_is_withdrawn() {
    let disk = Disk::new();
    let opened = open(&disk).unwrap();
    for number in 0..50 {
        // Polled once, it mostly waits for the disk; one that was answered is its caller's to confirm.
        if let Some(answer) = opened.journal.append(record(number)).now_or_never() {
            opened.journal.confirm(&[answer.unwrap()]);
        }
        if number % 5 == 0 {
            tokio::task::yield_now().await;
        }
    }
    append_all(&opened.journal, 100..=100).await.remove(0).unwrap();
    let journal = opened.journal;
    while journal.stats().entries > 1 {
        tokio::task::yield_now().await;
    }
    drop(journal);
    assert_eq!(numbers(&open(&disk).unwrap()), [100]);
}

#[tokio::test]
async fn a_group_shares_its_sync() {
    let disk = Disk::new();
    let opened = open(&disk).unwrap();
    append_all(&opened.journal, (0..100).map(|n| n * 7))
        .await
        .into_iter()
        .for_each(|answer| assert!(answer.is_ok()));
    let stats = opened.journal.stats();
    assert_eq!((stats.appends, stats.entries), (100, 100));
    assert!(stats.groups <= 20, "{} groups", stats.groups);
}
