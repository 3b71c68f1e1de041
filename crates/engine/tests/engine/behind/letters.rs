// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promises of write-behind about writes that the source refuses.

use std::time::Duration;

use throughline_core::{Change, ErrorKind, Position};
use throughline_engine::{BehindPolicy, OnConflict, Progress};
use throughline_testkit::MapJournal;

use super::house::{House, by_hand};

#[tokio::test(start_paused = true)]
async fn a_write_that_the_source_refuses_for_good_holds_up_no_other() {
    let house = House::new();
    house.source.refuse_value("bad", ErrorKind::Constraint);
    let daemon = house.daemon().await;
    let mut bad = Vec::new();
    for number in 0..200 {
        let is_bad = number % 50 == 7;
        let position = daemon.put(&format!("k{number}"), if is_bad { "bad" } else { "good" }).await;
        bad.extend(is_bad.then_some((number, position)));
    }
    daemon.drain().await;
    for number in 0..200 {
        let is_bad = bad.iter().any(|(of, _)| *of == number);
        let text = format!("k{number}");
        assert_eq!(house.source.row(&text).as_deref(), (!is_bad).then_some("good"), "{number}");
        assert_eq!(daemon.get_evicted(&text).await.as_deref(), Some(if is_bad { "bad" } else { "good" }));
    }
    assert_eq!(daemon.behind.letter_count(), 4);
    for (_, position) in &bad {
        assert!(matches!(daemon.behind.progress(*position), Progress::Dead { .. }));
        assert_eq!(daemon.behind.applied(*position).await.unwrap_err().kind(), ErrorKind::Constraint);
    }
    assert!(house.journal.pending().is_empty(), "they are in a journal of their own");
}

#[tokio::test(start_paused = true)]
async fn dead_letters_outlive_a_crash_and_are_decided_one_by_one() {
    let house = House::new();
    house.source.refuse_value("bad", ErrorKind::Constraint);
    let daemon = house.daemon().await;
    let mut positions = Vec::new();
    for text in ["1", "2", "3", "4"] {
        positions.push(daemon.put(text, "bad").await);
    }
    daemon.drain().await;
    drop(daemon);
    let daemon = house.daemon().await;
    assert_eq!(daemon.behind.letter_count(), 4);
    assert_eq!(daemon.get_evicted("1").await.as_deref(), Some("bad"), "what was accepted is shown");

    daemon.behind.discard_letter(positions[0]).await.unwrap();
    assert_eq!(daemon.get("1").await.as_deref(), Some("one"), "the source is shown at once");
    assert_eq!(daemon.behind.progress(positions[0]), Progress::Discarded);

    let good = Change::Put { value: "good".into(), flags: 0 };
    let renewed = daemon.behind.retry_letter(positions[1], Some(good)).await.unwrap();
    assert_eq!(daemon.get("2").await.as_deref(), Some("good"));
    assert_eq!(daemon.behind.progress(positions[1]), Progress::Renewed(renewed));

    let again = daemon.behind.retry_letter(positions[2], None).await.unwrap();
    daemon.drain().await;
    assert_eq!(house.source.row("2").as_deref(), Some("good"));
    assert!(matches!(daemon.behind.progress(again), Progress::Dead { .. }), "it is as bad as before");

    daemon.put("4", "later").await;
    let refused = daemon.behind.retry_letter(positions[3], None).await.unwrap_err();
    assert!(refused.to_string().contains("a later write of the same key"), "{refused}");
    daemon.drain().await;
    assert_eq!(house.source.row("4").as_deref(), Some("later"));

    let kept = house.letters.pending().len();
    drop(daemon);
    let daemon = house.daemon().await;
    assert_eq!((daemon.behind.letter_count(), kept), (2, 3), "those of 3 and 4, which is outlived");
    assert_eq!(daemon.get_evicted("4").await.as_deref(), Some("later"), "not what died before");
    assert_eq!(daemon.get_evicted("1").await.as_deref(), Some("one"));
    assert_eq!(daemon.behind.discard_letter(positions[0]).await.unwrap_err().kind(), ErrorKind::InvalidKey);
}

#[tokio::test(start_paused = true)]
async fn a_row_that_others_changed_is_overwritten_or_left_as_the_rule_says() {
    for (on_conflict, row) in [(OnConflict::Overwrite, "uno"), (OnConflict::DeadLetter, "by hand")] {
        let house = House::new();
        let daemon = house.open("a", BehindPolicy { on_conflict, ..by_hand() }).await.unwrap();
        let position = daemon.put("1", "uno").await;
        daemon.put("2", "due").await;
        daemon.put("2", "dos").await;
        house.source.change_behind("1", Some("by hand"));
        daemon.drain().await;
        assert_eq!(house.source.row("1").as_deref(), Some(row));
        assert_eq!(house.source.row("2").as_deref(), Some("dos"), "nobody else changed it");
        let is_dead = matches!(daemon.behind.progress(position), Progress::Dead { .. });
        assert_eq!(is_dead, on_conflict == OnConflict::DeadLetter);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_is_shown_though_an_older_write_of_its_key_is_still_being_settled() {
    let house = House::new();
    house.source.rewrite("  uno ", "uno");
    house.source.refuse_value("bad", ErrorKind::Constraint);
    let daemon = house.open("a", BehindPolicy { coalesce: false, ..by_hand() }).await.unwrap();
    daemon.put("1", "  uno ").await;
    let bad = daemon.put("1", "bad").await;
    // Others in the same lane go on behind it.
    for number in 0..40 {
        daemon.put(&format!("k{number}"), "v").await;
    }
    daemon.drain().await;
    assert!(matches!(daemon.behind.progress(bad), Progress::Dead { .. }));
    assert_eq!(daemon.get_evicted("1").await.as_deref(), Some("bad"));
    daemon.behind.retry_letter(bad, Some(Change::Put { value: "due".into(), flags: 0 })).await.unwrap();
    daemon.drain().await;
    assert_eq!(daemon.get_evicted("1").await.as_deref(), Some("due"));
}

fn left_alone() -> BehindPolicy {
    BehindPolicy { on_conflict: OnConflict::DeadLetter, coalesce: false, ..by_hand() }
}

#[tokio::test(start_paused = true)]
async fn what_was_accepted_on_top_of_a_conflict_is_one_too_also_after_a_crash() {
    for coalesce in [true, false] {
        let house = House::new();
        let policy = || BehindPolicy { coalesce, ..left_alone() };
        let daemon = house.open("a", policy()).await.unwrap();
        let first = daemon.put("1", "uno").await;
        daemon.put("1", "due").await;
        let records = house.journal.pending();
        house.source.change_behind("1", Some("by hand"));
        daemon.drain().await;
        assert_eq!((house.source.row("1").as_deref(), daemon.behind.letter_count()), (Some("by hand"), 2));
        drop(daemon);
        if coalesce {
            continue;
        }
        // A crash after the first of them had become a letter.
        let (journal, letters) = (MapJournal::default(), MapJournal::default());
        journal.restore(&records[1..], house.journal.next());
        letters.restore(&house.letters.pending()[..1], house.letters.next());
        let house = house.with_journal(journal).with_letters(letters);
        let daemon = house.open("a", policy()).await.unwrap();
        assert_eq!((daemon.behind.letter_count(), daemon.behind.pending_count()), (1, 1));
        let refused = daemon.behind.discard_letter(first).await.unwrap_err();
        assert!(refused.to_string().contains("accepted on top of it"), "{refused}");
        daemon.drain().await;
        assert_eq!((house.source.row("1").as_deref(), daemon.behind.letter_count()), (Some("by hand"), 2));
        daemon.behind.discard_letter(first).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_accepted_after_a_conflict_is_judged_by_the_row_of_then() {
    for (is_changed, row) in [(false, "tre"), (true, "again by hand")] {
        let house = House::new();
        let daemon = house.open("a", left_alone()).await.unwrap();
        daemon.put("1", "uno").await;
        house.source.change_behind("1", Some("by hand"));
        daemon.drain().await;
        daemon.put("1", "tre").await;
        if is_changed {
            house.source.change_behind("1", Some("again by hand"));
        }
        daemon.drain().await;
        assert_eq!(house.source.row("1").as_deref(), Some(row));
        assert_eq!(daemon.behind.letter_count(), if is_changed { 2 } else { 1 });
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_on_top_of_a_refused_one_is_applied_if_nobody_else_wrote() {
    for coalesce in [true, false] {
        let house = House::new();
        house.source.refuse_value("bad", ErrorKind::Constraint);
        let daemon = house.open("a", BehindPolicy { coalesce, ..left_alone() }).await.unwrap();
        daemon.put("1", "bad").await;
        daemon.put("1", "due").await;
        daemon.drain().await;
        assert_eq!(house.source.row("1").as_deref(), Some("due"));
        assert_eq!(daemon.behind.letter_count(), usize::from(!coalesce));
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_write_between_two_good_ones_hands_no_condition_on() {
    let house = House::new();
    house.source.refuse_value("bad", ErrorKind::Constraint);
    let policy = || BehindPolicy { coalesce: true, ..left_alone() };
    let daemon = house.open("a", policy()).await.unwrap();
    daemon.put("1", "uno").await;
    daemon.put("1", "bad").await;
    daemon.drain().await;
    assert_eq!((house.source.row("1").as_deref(), daemon.behind.letter_count()), (Some("uno"), 1));
    let letters = house.letters.pending();
    drop(daemon);
    // As if a third one had been accepted before the second was refused, and a crash had come after that.
    let other = House::new();
    other.open("a", policy()).await.unwrap().put("1", "zero").await;
    other.open("a", policy()).await.unwrap().put("1", "tre").await;
    let third = other.journal.pending().pop().unwrap();
    let (journal, kept) = (MapJournal::default(), MapJournal::default());
    journal.restore(&[(Position(3), third.1)], Position(4));
    kept.restore(&letters, house.letters.next());
    let house = house.with_journal(journal).with_letters(kept);
    let daemon = house.open("a", policy()).await.unwrap();
    daemon.drain().await;
    assert_eq!((house.source.row("1").as_deref(), daemon.behind.letter_count()), (Some("tre"), 1));
}

#[tokio::test(start_paused = true)]
async fn a_discarded_letter_does_not_come_back_when_the_power_goes() {
    let house = House::new();
    house.source.refuse_value("bad", ErrorKind::Constraint);
    let daemon = house.daemon().await;
    let position = daemon.put("1", "bad").await;
    daemon.drain().await;
    daemon.behind.discard_letter(position).await.unwrap();
    drop(daemon);
    // The journal of letters has forgotten it for good.
    assert!(house.letters.pending().is_empty());
    house.journal.lose_power();
    let daemon = house.daemon().await;
    assert_eq!((daemon.behind.pending_count(), daemon.behind.letter_count()), (0, 0));
    assert_eq!(daemon.get_evicted("1").await.as_deref(), Some("one"));
}

#[tokio::test(start_paused = true)]
async fn a_letter_does_not_outlive_an_older_one() {
    let house = House::new();
    house.source.refuse_value("bad", ErrorKind::Constraint);
    let daemon = house.open("a", BehindPolicy { coalesce: false, ..by_hand() }).await.unwrap();
    daemon.put("1", "bad").await;
    daemon.put("1", "bad").await;
    let records = house.journal.pending();
    daemon.drain().await;
    drop(daemon);
    let forgot = MapJournal::default();
    forgot.restore(&records, house.journal.next());
    let daemon = house.with_journal(forgot).daemon().await;
    let letters = daemon.behind.letters(9);
    assert_eq!(letters.iter().map(|letter| letter.is_outlived).collect::<Vec<_>>(), [false, false]);
}

#[tokio::test(start_paused = true)]
async fn what_is_applied_is_confirmed_as_soon_as_it_can_be_noted_that_a_letter_is_older() {
    let house = House::new();
    house.source.refuse_value("bad", ErrorKind::Constraint);
    let daemon = house.daemon().await;
    let bad = daemon.put("1", "bad").await;
    daemon.drain().await;
    daemon.put("1", "later").await;
    house.letters.set_full(true);
    daemon.behind.start_drain();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!((house.source.row("1").as_deref(), house.journal.pending().len()), (Some("later"), 1));
    assert!(!daemon.behind.release().await.unwrap());
    house.letters.set_full(false);
    daemon.drain().await;
    assert!(house.journal.pending().is_empty());
    daemon.behind.discard_letter(bad).await.unwrap();
    assert!(daemon.behind.release().await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_write_with_a_condition_of_its_own_takes_nobody_s_place() {
    let house = House::new();
    let daemon = house.open("a", BehindPolicy { coalesce: true, ..left_alone() }).await.unwrap();
    daemon.put("1", "uno").await;
    let second = daemon.put("1", "due").await;
    house.source.change_behind("1", Some("by hand"));
    daemon.behind.start_drain();
    while !matches!(daemon.behind.progress(second), Progress::Dead { .. }) {
        tokio::task::yield_now().await;
    }
    house.source.set_unavailable(true);
    tokio::time::sleep(Duration::from_secs(5)).await;
    house.source.set_unavailable(false);
    // The first is pending still, and this one is judged by the row of now.
    assert_eq!(daemon.behind.pending_count(), 1);
    daemon.put("1", "tre").await;
    daemon.drain().await;
    assert_eq!((house.source.row("1").as_deref(), daemon.behind.letter_count()), (Some("tre"), 2));
}

#[tokio::test(start_paused = true)]
async fn the_condition_of_the_nearest_letter_counts_after_a_restart() {
    let house = House::new();
    let daemon = house.open("a", left_alone()).await.unwrap();
    daemon.put("1", "a").await;
    house.source.change_behind("1", Some("v2"));
    daemon.drain().await;
    let fourth = daemon.put("1", "d").await;
    daemon.put("1", "e").await;
    house.source.change_behind("1", Some("v3"));
    daemon.behind.start_drain();
    while !matches!(daemon.behind.progress(fourth), Progress::Dead { .. }) {
        tokio::task::yield_now().await;
    }
    house.source.set_unavailable(true);
    drop(daemon);
    house.source.set_unavailable(false);
    let daemon = house.open("a", left_alone()).await.unwrap();
    // The row that the first one was judged by, and not the last.
    house.source.change_behind("1", Some("one"));
    daemon.drain().await;
    assert_eq!((house.source.row("1").as_deref(), daemon.behind.letter_count()), (Some("one"), 3));
}
