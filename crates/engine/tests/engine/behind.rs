// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promises of write-behind: an accepted write is read at once, and is in the source in the end, once.

mod attempts;
mod decisions;
mod endings;
mod house;
mod letters;

use std::time::Duration;

use futures_util::future::join_all;
use throughline_core::{Condition, Effect, Error, ErrorKind, Owner, Position, Refusal, Rng, Version};
use throughline_engine::{BehindPolicy, Progress, Served};
use throughline_testkit::MapJournal;

use crate::bed::{key, put};
use house::{House, accepted, by_hand, delete};

#[tokio::test(start_paused = true)]
async fn an_accepted_write_is_read_at_once_even_without_its_entry_and_is_in_the_source_after_the_delay() {
    let house = House::new();
    let policy = BehindPolicy { delay_ms: Some(5_000), ..BehindPolicy::default() };
    let daemon = house.open("a", policy).await.unwrap();
    assert_eq!(daemon.get("1").await.as_deref(), Some("one"));
    let position = daemon.put("1", "uno").await;
    assert_eq!(daemon.space.get(&key("1")).await.unwrap().served, Served::Hit, "published");
    assert_eq!(daemon.get("1").await.as_deref(), Some("uno"));
    assert_eq!(daemon.get_evicted("1").await.as_deref(), Some("uno"));
    assert_eq!(house.source.row("1").as_deref(), Some("one"), "not yet");
    assert_eq!(daemon.behind.progress(position), Progress::Accepted);
    tokio::time::sleep(Duration::from_millis(4_900)).await;
    assert_eq!(house.source.row("1").as_deref(), Some("one"), "not yet");
    daemon.behind.applied(position).await.unwrap();
    assert_eq!(house.source.row("1").as_deref(), Some("uno"));
    assert_eq!(daemon.behind.progress(position), Progress::Applied);
    assert_eq!(daemon.get_evicted("1").await.as_deref(), Some("uno"));
    assert!(house.journal.pending().is_empty());
    assert_eq!(daemon.behind.progress(Position(99)), Progress::Unknown);
}

#[tokio::test(start_paused = true)]
async fn another_spelling_of_the_key_shows_the_same_accepted_value() {
    let house = House::new();
    let daemon = house.daemon().await;
    daemon.put("007", "seven").await;
    assert_eq!(daemon.get("7").await.as_deref(), Some("seven"));
    daemon.put("7", "sept").await;
    assert_eq!(daemon.get("007").await.as_deref(), Some("sept"), "not in the source yet");
    let many = daemon.space.get_many(&[key("07"), key("1")]).await;
    assert_eq!(many[0].as_ref().unwrap().record().unwrap().value, "sept");
    daemon.drain().await;
    assert_eq!((house.source.row("7").as_deref(), house.source.row("007")), (Some("sept"), None));
}

#[tokio::test(start_paused = true)]
async fn many_pending_writes_do_not_wait_for_the_delay() {
    let house = House::new();
    let policy = BehindPolicy { delay_ms: Some(3_600_000), count_max: 2, ..BehindPolicy::default() };
    let daemon = house.open("a", policy).await.unwrap();
    for number in 0..100 {
        daemon.put(&format!("k{number}"), "v").await;
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(daemon.behind.pending_count() < 16, "fewer than two in each lane");
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_moment_loses_nothing_and_applies_nothing_twice() {
    // Before anything was applied.
    let house = House::new();
    let daemon = house.daemon().await;
    daemon.put("1", "uno").await;
    daemon.put("2", "due").await;
    drop(daemon);
    let daemon = house.daemon().await;
    assert_eq!(daemon.get_evicted("1").await.as_deref(), Some("uno"), "shown though the source is old");
    daemon.drain().await;
    assert_eq!((house.source.row("1").as_deref(), house.applied_count("1")), (Some("uno"), 1));

    // After the source's commit, before its answer and the journal's confirmation.
    let before = daemon.put("1", "eins").await;
    let record = house.journal.pending();
    daemon.drain().await;
    assert_eq!(house.applied_count("1"), 2);
    drop(daemon);
    let forgot = MapJournal::default();
    forgot.restore(&record, house.journal.next());
    let house = house.with_journal(forgot);
    house.source.change_behind("1", Some("by hand"));
    let daemon = house.daemon().await;
    assert_eq!(daemon.behind.pending_count(), 0, "the watermark tells that it is applied");
    assert_eq!(daemon.behind.progress(before), Progress::Settled);
    daemon.drain().await;
    assert_eq!((house.source.row("1").as_deref(), house.applied_count("1")), (Some("by hand"), 2));
}

#[tokio::test(start_paused = true)]
async fn a_queue_in_memory_loses_what_was_accepted() {
    // The control: what the journal is for.
    let house = House::new();
    house.daemon().await.put("1", "uno").await;
    let house = house.with_journal(MapJournal::default());
    let daemon = house.daemon().await;
    daemon.drain().await;
    assert_eq!(house.source.row("1").as_deref(), Some("one"));
}

#[tokio::test(start_paused = true)]
async fn a_commit_without_an_answer_is_applied_once() {
    for applied in [false, true] {
        let house = House::new();
        let daemon = house.daemon().await;
        daemon.put("1", "uno").await;
        house.source.fail_next_commit(ErrorKind::OutcomeUnknown, applied);
        daemon.drain().await;
        assert_eq!(
            (house.source.row("1").as_deref(), house.applied_count("1")),
            (Some("uno"), 1),
            "{applied}"
        );
        assert_eq!(daemon.get("1").await.as_deref(), Some("uno"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_gone_is_tried_again_and_says_why() {
    let house = House::new();
    let daemon = house.daemon().await;
    let position = daemon.put("1", "uno").await;
    house.source.set_unavailable(true);
    daemon.behind.start_drain();
    tokio::time::sleep(Duration::from_secs(60)).await;
    match daemon.behind.progress(position) {
        Progress::Retrying { why, next_ms, attempts } => {
            assert!(
                why.contains("unavailable") && next_ms <= 30_000 && (5..20).contains(&attempts),
                "{attempts}"
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(daemon.get_evicted("1").await.as_deref(), Some("uno"), "readers do not need the source");
    house.source.set_unavailable(false);
    daemon.behind.applied(position).await.unwrap();
    assert_eq!(house.source.row("1").as_deref(), Some("uno"));
    assert!(daemon.behind.stats().retries.get() > 4);
}

#[tokio::test(start_paused = true)]
async fn who_asks_waits_for_no_pause() {
    let house = House::new();
    let daemon = house.daemon().await;
    daemon.put("1", "uno").await;
    house.source.set_unavailable(true);
    daemon.behind.start_drain();
    // Pauses are about half a minute by now.
    tokio::time::sleep(Duration::from_secs(300)).await;
    house.source.set_unavailable(false);
    let asked = tokio::time::Instant::now();
    daemon.drain().await;
    assert!(asked.elapsed() < Duration::from_millis(100), "{:?}", asked.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_too_long_for_the_journal_fails_alone() {
    let house = House::new();
    house.journal.set_len_max(200);
    let daemon = house.daemon().await;
    let long = "v".repeat(300);
    let values = ["uno", &long, "due", "tre"];
    let write = |value: &&str| daemon.write(put("1", value, Condition::Always));
    let answers = join_all(values.iter().map(write)).await;
    let kinds: Vec<_> = answers.iter().map(|answer| answer.as_ref().err().map(Error::kind)).collect();
    assert_eq!(kinds, [None, Some(ErrorKind::TooLarge), None, None]);
    assert_eq!(daemon.get_evicted("1").await.as_deref(), Some("tre"));
    daemon.drain().await;
    assert_eq!(house.source.row("1").as_deref(), Some("tre"));
}

#[tokio::test(start_paused = true)]
async fn writes_of_one_key_become_one_row_or_are_applied_each_in_its_order() {
    for coalesce in [true, false] {
        let house = House::new();
        let daemon = house.open("a", BehindPolicy { coalesce, ..by_hand() }).await.unwrap();
        let mut positions = Vec::new();
        for number in 0..20 {
            positions.push(daemon.put("1", &number.to_string()).await);
        }
        daemon.drain().await;
        assert_eq!(house.source.row("1").as_deref(), Some("19"));
        let applied: Vec<Position> =
            house.source.applied().into_iter().map(|(_, position)| position).collect();
        if coalesce {
            assert_eq!(applied, [positions[19]]);
        } else {
            assert_eq!(applied, positions);
        }
        assert_eq!(daemon.behind.stats().applied.get(), 20);
        assert_eq!(daemon.behind.progress(positions[3]), Progress::Applied);
    }
}

#[tokio::test(start_paused = true)]
async fn put_delete_put_ends_as_the_last_one_says() {
    for restarts in [false, true] {
        let house = House::new();
        let mut daemon = house.daemon().await;
        daemon.put("1", "a").await;
        accepted(&daemon.write(delete("1")).await.unwrap());
        assert_eq!(daemon.get_evicted("1").await, None, "though the source has it");
        if restarts {
            drop(daemon);
            daemon = house.daemon().await;
            assert_eq!(daemon.get_evicted("1").await, None);
        }
        daemon.put("1", "b").await;
        assert_eq!(daemon.get_evicted("1").await.as_deref(), Some("b"));
        accepted(&daemon.write(delete("2")).await.unwrap());
        daemon.drain().await;
        assert_eq!((house.source.row("1").as_deref(), house.source.row("2")), (Some("b"), None));
    }
}

#[tokio::test(start_paused = true)]
async fn conditions_are_decided_by_what_was_accepted_and_else_by_the_source() {
    let house = House::new();
    let daemon = house.daemon().await;
    let refused = async |write| match daemon.write(write).await.unwrap() {
        Effect::Refused(refusal) => Some(refusal),
        _ => None,
    };
    assert_eq!(refused(put("1", "x", Condition::Absent)).await, Some(Refusal::Exists));
    assert_eq!(refused(put("9", "x", Condition::Present)).await, Some(Refusal::Absent));
    assert_eq!(refused(put("9", "nine", Condition::Absent)).await, None);
    assert_eq!(
        refused(put("9", "x", Condition::Absent)).await,
        Some(Refusal::Exists),
        "accepted, not applied"
    );
    let nine = Version::of_content(b"nine");
    assert_eq!(refused(put("9", "neuf", Condition::Unchanged(vec![nine]))).await, None);
    let conflict = refused(put("9", "nove", Condition::Unchanged(vec![nine]))).await;
    assert_eq!(conflict, Some(Refusal::Conflict(Version::of_content(b"neuf"))));
    daemon.write(delete("9")).await.unwrap();
    assert_eq!(refused(put("9", "x", Condition::Present)).await, Some(Refusal::Absent));
    daemon.drain().await;
    assert_eq!(house.source.row("9"), None);
}

#[tokio::test(start_paused = true)]
async fn what_the_source_makes_of_a_write_is_read_after_it_was_applied() {
    let house = House::new();
    house.source.rewrite("  uno ", "uno");
    let daemon = house.daemon().await;
    daemon.put("1", "  uno ").await;
    assert_eq!(daemon.get("1").await.as_deref(), Some("  uno "));
    daemon.drain().await;
    let shown = async {
        while daemon.get("1").await.as_deref() != Some("uno") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), shown).await.expect("the entry is dropped");
}

#[tokio::test(start_paused = true)]
async fn a_second_owner_is_refused_and_named_until_the_first_has_drained_and_left() {
    let house = House::new();
    let daemon = house.daemon().await;
    daemon.put("1", "uno").await;
    let refused = house.open("b", by_hand()).await.map(drop).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Configuration);
    assert!(refused.to_string().contains("the daemon of a"), "{refused}");
    assert!(!daemon.behind.release().await.unwrap(), "something is pending");
    daemon.drain().await;
    assert!(daemon.behind.release().await.unwrap());
    house.open("b", by_hand()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_loses_its_lanes_applies_nothing_more_and_says_who_has_them() {
    let house = House::new();
    let daemon = house.daemon().await;
    daemon.put("1", "uno").await;
    let owner = Owner { journal: "b".to_owned(), name: "another".to_owned() };
    let lanes: Vec<_> = (0..8)
        .map(|number| throughline_core::Lane { resource: daemon.space.name().clone(), number })
        .collect();
    throughline_core::Drain::claim(&house.source, &lanes, &owner, true).await.unwrap();
    let lost: Error = daemon.behind.drain().await.unwrap_err();
    assert!(lost.to_string().contains("another"), "{lost}");
    assert!(house.source.applied().is_empty());
    let refused = daemon.write(put("1", "due", Condition::Always)).await.unwrap_err();
    assert!(refused.to_string().contains("another"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_is_full_refuses_and_loses_nothing() {
    let house = House::new();
    let daemon = house.daemon().await;
    daemon.put("1", "uno").await;
    house.journal.set_full(true);
    let refused = daemon.write(put("1", "due", Condition::Always)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Overloaded);
    assert_eq!(daemon.get_evicted("1").await.as_deref(), Some("uno"));
    house.journal.set_full(false);
    daemon.put("1", "tre").await;
    daemon.drain().await;
    assert_eq!(house.source.row("1").as_deref(), Some("tre"));
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_was_restored_from_a_copy_is_refused() {
    let house = House::new();
    let daemon = house.daemon().await;
    daemon.put("1", "uno").await;
    daemon.drain().await;
    drop(daemon);
    let house = house.with_journal(MapJournal::default());
    let refused = house.open("a", by_hand()).await.map(drop).unwrap_err();
    assert!(refused.to_string().contains("restored from a copy"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_an_earlier_process_left_goes_before_the_source_is_shown() {
    let house = House::new();
    house.source.rewrite("  uno ", "uno");
    let daemon = house.daemon().await;
    daemon.put("1", "  uno ").await;
    assert_eq!(daemon.get("1").await.as_deref(), Some("  uno "), "it is in the cache");
    let kept = house.journal.pending();
    daemon.drain().await;
    // The crash came between the source's commit and everything that follows it.
    daemon.write(put("1", "  uno ", Condition::Always)).await.unwrap();
    drop(daemon);
    let journal = MapJournal::default();
    journal.restore(&kept, house.journal.next());
    let house = house.with_journal(journal);
    let daemon = house.daemon().await;
    daemon.behind.refresh().await;
    assert_eq!(daemon.get("1").await.as_deref(), Some("uno"));
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_when_an_append_fails_and_when_the_lane_is_lost() {
    let house = House::new();
    let daemon = house.daemon().await;
    house.journal.set_full(true);
    let (refused, drained) = tokio::join!(
        daemon.write(put("1", "uno", Condition::Always)),
        tokio::time::timeout(Duration::from_secs(600), daemon.behind.drain())
    );
    assert!(refused.is_err() && drained.is_ok());
    house.journal.set_full(false);
    let position = daemon.put("1", "uno").await;
    let owner = Owner { journal: "b".to_owned(), name: "another".to_owned() };
    let lane = |number| throughline_core::Lane { resource: daemon.space.name().clone(), number };
    let lanes: Vec<_> = (0..8).map(lane).collect();
    throughline_core::Drain::claim(&house.source, &lanes, &owner, true).await.unwrap();
    daemon.behind.start_drain();
    let told = daemon.behind.applied(position).await.unwrap_err();
    assert!(told.to_string().contains("another"), "{told}");
    assert!(daemon.space.get_fresh(&key("1")).await.is_err(), "what was accepted here may be old");
}

/// Random operations of two keys with crashes, evictions and drains between them, against a plain map.
#[tokio::test(start_paused = true)]
async fn random_operations_with_crashes_agree_with_a_map() {
    for seed in 0..40 {
        let rng = Rng::from_seed(seed);
        let house = House::new();
        let mut model: std::collections::HashMap<&str, Option<String>> =
            [("1", Some("one".to_owned())), ("2", Some("two".to_owned()))].into();
        let mut daemon = house.daemon().await;
        for step in 0..120 {
            let text = if rng.below(2) == 0 { "1" } else { "2" };
            match rng.below(12) {
                0..=3 => {
                    let value = format!("{seed}-{step}");
                    daemon.put(text, &value).await;
                    model.insert(text, Some(value));
                }
                4 => {
                    daemon.write(delete(text)).await.unwrap();
                    model.insert(text, None);
                }
                5 => daemon.space.invalidate(&key(text)).await.unwrap(),
                6 => daemon.behind.start_drain(),
                7 => {
                    let applied = rng.below(2) == 0;
                    house.source.fail_next_commit(ErrorKind::OutcomeUnknown, applied);
                }
                8 => tokio::time::sleep(Duration::from_millis(rng.below(300))).await,
                9 => {
                    drop(daemon);
                    daemon = house.daemon().await;
                }
                _ => assert_eq!(&daemon.get(text).await, &model[text], "seed {seed}, step {step}"),
            }
        }
        daemon.drain().await;
        for text in ["1", "2"] {
            assert_eq!(house.source.row(text), model[text], "seed {seed}");
            assert_eq!(&daemon.get_evicted(text).await, &model[text], "seed {seed}");
        }
        let mut positions: Vec<Position> = house.source.applied().into_iter().map(|(_, at)| at).collect();
        let count = positions.len();
        positions.sort_unstable();
        positions.dedup();
        assert_eq!(positions.len(), count, "seed {seed}: something was applied twice");
    }
}

/// Keys that are written while their values are being applied.
#[tokio::test(start_paused = true)]
async fn writers_and_the_drain_do_not_disturb_each_other() {
    let house = House::new();
    let policy = BehindPolicy { delay_ms: Some(1), ..BehindPolicy::default() };
    let daemon = house.open("a", policy).await.unwrap();
    for round in 0..200 {
        let writes = (0..4).map(|number| daemon.put(if number % 2 == 0 { "1" } else { "2" }, "x"));
        futures_util::future::join_all(writes).await;
        let value = round.to_string();
        daemon.put("1", &value).await;
        assert_eq!(daemon.get("1").await, Some(value));
        if round % 7 == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    daemon.drain().await;
    assert_eq!(house.source.row("1").as_deref(), Some("199"));
    assert!(house.source.batch_sizes().len() > 10);
}
