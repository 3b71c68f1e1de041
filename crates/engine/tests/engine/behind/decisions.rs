// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promises about what operators decide, whatever comes between.

use std::time::Duration;

use throughline_core::{Change, ErrorKind};
use throughline_engine::{BehindPolicy, OnConflict, Progress};
use throughline_testkit::MapJournal;

use super::house::{House, by_hand};

fn good() -> Option<Change> {
    Some(Change::Put { value: "good".into(), flags: 0 })
}

#[tokio::test(start_paused = true)]
async fn a_write_that_was_tried_again_by_hand_is_judged_by_the_row_of_then_also_after_a_restart() {
    for (restarts, is_changed) in [(false, false), (true, false), (false, true), (true, true)] {
        let house = House::new();
        let policy = || BehindPolicy { on_conflict: OnConflict::DeadLetter, coalesce: false, ..by_hand() };
        let mut daemon = house.open("a", policy()).await.unwrap();
        daemon.put("1", "uno").await;
        let second = daemon.put("1", "due").await;
        house.source.change_behind("1", Some("by hand"));
        daemon.drain().await;
        assert_eq!(daemon.behind.letter_count(), 2);
        let renewed = daemon.behind.retry_letter(second, None).await.unwrap();
        if is_changed {
            house.source.change_behind("1", Some("again by hand"));
        }
        if restarts {
            drop(daemon);
            daemon = house.open("a", policy()).await.unwrap();
        }
        daemon.drain().await;
        let row = if is_changed { "again by hand" } else { "due" };
        assert_eq!(house.source.row("1").as_deref(), Some(row), "restarts: {restarts}");
        let is_dead = matches!(daemon.behind.progress(renewed), Progress::Dead { .. });
        assert_eq!(is_dead, is_changed, "restarts: {restarts}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_discard_that_nobody_waits_for_is_whole() {
    let house = House::new();
    house.source.refuse_value("bad", ErrorKind::Constraint);
    let daemon = house.daemon().await;
    let bad = daemon.put("1", "bad").await;
    daemon.drain().await;
    house.journal.set_flush_ms(20);
    let left = tokio::time::timeout(Duration::from_millis(5), daemon.behind.discard_letter(bad)).await;
    assert!(left.is_err());
    assert_eq!((daemon.behind.letter_count(), daemon.behind.progress(bad)), (0, Progress::Discarded));
    assert_eq!(daemon.get_evicted("1").await.as_deref(), Some("one"));
    assert!(daemon.behind.release().await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn what_is_told_of_a_letter_that_is_gone_is_forgotten() {
    let house = House::new();
    house.source.refuse_value("bad", ErrorKind::Constraint);
    let daemon = house.daemon().await;
    let bad = daemon.put("1", "bad").await;
    daemon.drain().await;
    daemon.behind.discard_letter(bad).await.unwrap();
    drop(daemon);
    // The mark of the letter was on the disk when the power went, that of the decision was not.
    house.letters.lose_power();
    let letters = MapJournal::default();
    letters.restore(&house.letters.pending()[1..], house.letters.next());
    assert_eq!(letters.pending().len(), 1);
    let house = house.with_letters(letters);
    assert_eq!(house.daemon().await.behind.letter_count(), 0);
    assert!(house.letters.pending().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_renewed_write_is_applied_although_the_decision_could_not_be_kept() {
    let house = House::new();
    house.source.refuse_value("bad", ErrorKind::Constraint);
    let policy = BehindPolicy { delay_ms: Some(1_000), ..BehindPolicy::default() };
    let daemon = house.open("a", policy).await.unwrap();
    let bad = daemon.put("1", "bad").await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    house.letters.set_full(true);
    let refused = daemon.behind.retry_letter(bad, good()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Overloaded);
    house.letters.set_full(false);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!((house.source.row("1").as_deref(), daemon.behind.pending_count()), (Some("good"), 0));
    assert_eq!(daemon.get_evicted("1").await.as_deref(), Some("good"));
}
