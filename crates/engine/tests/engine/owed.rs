// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bounded writes whose invalidation the cache has not confirmed, over a crash.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use throughline_core::{ErrorKind, WriteStrategy};
use throughline_engine::{Bypass, Policy, Served};
use throughline_testkit::MapJournal;

use crate::bed::{Bed, bounded, key, value};

fn both() -> [Policy; 2] {
    [bounded(), Policy { write: WriteStrategy::WriteAround, ..bounded() }]
}

/// An entry in the cache, a journal, and the cache out of reach.
async fn cut_off(policy: Policy) -> (Bed, MapJournal) {
    let bed = Bed::new(policy);
    let journal = MapJournal::default();
    bed.space.keep_owed_in(Arc::new(journal.clone()), &[]);
    assert_eq!(bed.get("1").await.as_deref(), Some("one"));
    assert_eq!(bed.get("1").await.as_deref(), Some("one"));
    bed.cache.set_down(true);
    (bed, journal)
}

#[tokio::test(start_paused = true)]
async fn an_old_entry_does_not_outlive_a_crash_between_commit_and_confirmation() {
    for policy in both() {
        let (bed, journal) = cut_off(policy.clone()).await;
        bed.put("1", "uno").await.unwrap();
        let space = bed.restarted(policy);
        assert_eq!(space.keep_owed_in(Arc::new(journal.clone()), &journal.pending()), 1);
        let read = space.get(&key("1")).await.unwrap();
        assert_eq!(read.served, Served::Bypass(Bypass::Owed));
        assert_eq!(read.into_record().unwrap().value, "uno");
        while !journal.pending().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(value(&space, "1").await.as_deref(), Some("uno"));
        assert_eq!(space.get(&key("1")).await.unwrap().served, Served::Hit);
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_journal_the_old_entry_outlives_it() {
    let (bed, _) = cut_off(bounded()).await;
    bed.put("1", "uno").await.unwrap();
    let forgetful = bed.restarted(bounded());
    assert_eq!(value(&forgetful, "1").await.as_deref(), Some("one"), "this is what the journal is for");
}

#[tokio::test(start_paused = true)]
async fn a_write_that_cannot_be_journalled_does_not_commit() {
    for policy in both() {
        let (bed, journal) = cut_off(policy).await;
        journal.set_full(true);
        assert_eq!(bed.put("1", "uno").await.unwrap_err().kind(), ErrorKind::Overloaded);
        assert_eq!(bed.source.row("1").as_deref(), Some("one"));
        bed.cache.set_down(false);
        bed.put("1", "uno").await.unwrap();
        assert_eq!(bed.get("1").await.as_deref(), Some("uno"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_confirmed_write_costs_no_record() {
    let (bed, journal) = cut_off(bounded()).await;
    bed.cache.set_down(false);
    bed.put("1", "uno").await.unwrap();
    assert_eq!(journal.appended(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_written_often_has_one_record() {
    let (bed, journal) = cut_off(bounded()).await;
    for number in 0..50 {
        bed.put("1", &number.to_string()).await.unwrap();
        assert_eq!(bed.get("1").await, Some(number.to_string()), "and is read as it was written");
    }
    bed.put("2", "due").await.unwrap();
    assert_eq!(journal.pending().len(), 2);
    bed.cache.set_down(false);
    while !journal.pending().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(bed.get("1").await.as_deref(), Some("49"));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_dropped_while_it_is_journalled_is_not_written_and_owes_nothing_for_long() {
    let (bed, journal) = cut_off(bounded()).await;
    // It is polled up to the journal's disk.
    assert!(bed.put("1", "uno").now_or_never().is_none());
    assert_eq!(bed.source.row("1").as_deref(), Some("one"));
    bed.cache.set_down(false);
    while bed.space.get(&key("1")).await.unwrap().served != Served::Hit {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(journal.pending().is_empty());
}

#[tokio::test(start_paused = true)]
async fn another_resources_records_are_left_alone() {
    let (bed, journal) = cut_off(bounded()).await;
    bed.put("1", "uno").await.unwrap();
    let another = bed.another("people", bounded());
    assert_eq!(another.keep_owed_in(Arc::new(journal.clone()), &journal.pending()), 0);
    assert_eq!(journal.pending().len(), 1);
}
