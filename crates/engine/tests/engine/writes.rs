// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promises of writes.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use throughline_core::{Access, Condition, Effect, ErrorKind, Refusal, Version, WriteStrategy, Writer as _};
use throughline_engine::{Bypass, Policy, Served};

use crate::bed::{Bed, bounded, delete, key, put, strict, value};

fn around() -> Policy {
    Policy { write: WriteStrategy::WriteAround, ..strict() }
}

#[tokio::test(start_paused = true)]
async fn a_read_after_a_write_through_makes_no_call_to_the_source() {
    let bed = Bed::new(strict());
    bed.put("1", "uno").await.unwrap();
    assert_eq!(bed.get("1").await.as_deref(), Some("uno"));
    assert_eq!(bed.source.loads(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_read_after_a_write_around_loads_and_fills() {
    let bed = Bed::new(around());
    bed.get("1").await;
    bed.put("1", "uno").await.unwrap();
    assert_eq!(bed.space.get(&key("1")).await.unwrap().served, Served::Miss { stored: true });
    assert_eq!(bed.get("1").await.as_deref(), Some("uno"));
}

#[tokio::test(start_paused = true)]
async fn a_fill_that_began_before_a_write_is_refused() {
    for policy in [strict(), around()] {
        let bed = Bed::new(policy);
        let daemon = bed.another("person", strict());
        let one = key("1");
        bed.source.open_reads(false);
        let mut slow = Box::pin(daemon.get(&one));
        assert!((&mut slow).now_or_never().is_none(), "it holds the lease and has probed");
        bed.put("1", "uno").await.unwrap();
        bed.source.change_behind("1", Some("old snapshot"));
        bed.source.open_reads(true);
        slow.await.unwrap();
        bed.source.change_behind("1", Some("uno"));
        assert_eq!(bed.get("1").await.as_deref(), Some("uno"));
        assert_eq!(daemon.stats().fills_refused.get(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_condition_writes_nothing_and_tells_why() {
    let bed = Bed::new(strict());
    let write = |text: &'static str, condition| bed.space.write(put(text, "x", condition));
    assert_eq!(write("1", Condition::Absent).await.unwrap(), Effect::Refused(Refusal::Exists));
    assert_eq!(write("9", Condition::Present).await.unwrap(), Effect::Refused(Refusal::Absent));
    let other = Condition::Unchanged(vec![Version(1)]);
    let current = Version::of_content(b"one");
    assert_eq!(write("1", other).await.unwrap(), Effect::Refused(Refusal::Conflict(current)));
    assert_eq!(bed.source.row("1").as_deref(), Some("one"));
    let unchanged = Condition::Unchanged(vec![current]);
    assert!(matches!(write("1", unchanged).await.unwrap(), Effect::Stored { created: false, .. }));
}

#[tokio::test(start_paused = true)]
async fn a_deleted_record_is_gone_for_every_reader() {
    let bed = Bed::new(strict());
    bed.get("1").await;
    bed.space.write(delete("1")).await.unwrap();
    assert_eq!(bed.get("1").await, None);
    assert_eq!(bed.space.write(delete("1")).await.unwrap(), Effect::Refused(Refusal::Absent));
}

#[tokio::test(start_paused = true)]
async fn if_the_source_fails_the_cache_is_untouched() {
    let bed = Bed::new(strict());
    bed.get("1").await;
    bed.source.set_unavailable(true);
    assert_eq!(bed.put("1", "uno").await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(bed.get("1").await.as_deref(), Some("one"), "still a hit");
}

#[tokio::test(start_paused = true)]
async fn a_failed_commit_leaves_the_old_value() {
    let bed = Bed::new(strict());
    bed.get("1").await;
    bed.source.fail_next_commit(ErrorKind::Constraint, false);
    assert_eq!(bed.put("1", "uno").await.unwrap_err().kind(), ErrorKind::Constraint);
    assert_eq!(bed.get("1").await.as_deref(), Some("one"));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_is_never_read_stale() {
    let bed = Bed::new(strict());
    bed.get("1").await;
    bed.source.fail_next_commit(ErrorKind::OutcomeUnknown, true);
    assert_eq!(bed.put("1", "uno").await.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
    assert_eq!(bed.space.get(&key("1")).await.unwrap().served, Served::Bypass(Bypass::Marked));
    assert_eq!(bed.get("1").await.as_deref(), Some("uno"));
    assert_eq!(bed.space.stats().writes_unknown.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_strict_write_that_cannot_be_marked_is_refused_with_the_reason() {
    for policy in [strict(), around()] {
        let bed = Bed::new(policy);
        bed.get("1").await;
        bed.cache.set_down(true);
        let error = bed.put("1", "uno").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unmarkable);
        assert!(error.to_string().contains("did not confirm"), "{error}");
        assert_eq!(bed.source.row("1").as_deref(), Some("one"));
        bed.cache.set_down(false);
        assert!(matches!(bed.put("1", "uno").await.unwrap(), Effect::Stored { created: false, .. }));
    }
}

#[tokio::test(start_paused = true)]
async fn a_bounded_write_goes_on_without_the_cache_and_is_not_forgotten() {
    for policy in [bounded(), Policy { write: WriteStrategy::WriteAround, ..bounded() }] {
        let bed = Bed::new(policy);
        bed.get("1").await;
        bed.cache.set_down(true);
        bed.put("1", "uno").await.unwrap();
        bed.cache.set_down(false);
        assert_eq!(bed.space.get(&key("1")).await.unwrap().served, Served::Bypass(Bypass::Owed));
        assert_eq!(bed.get("1").await.as_deref(), Some("uno"), "its own write is seen");
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(bed.space.get(&key("1")).await.unwrap().served, Served::Miss { stored: true });
        assert_eq!(bed.get("1").await.as_deref(), Some("uno"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_write_rolls_back_and_unmarks() {
    let bed = Bed::new(strict());
    bed.get("1").await;
    // Another writer holds the lock, so this one is dropped while it waits for it.
    let held = bed.source.prepare(&[put("1", "due", Condition::Always)]).await.unwrap();
    let mut write = Box::pin(bed.put("1", "uno"));
    assert!((&mut write).now_or_never().is_none());
    drop(write);
    drop(held);
    assert_eq!(bed.get("1").await.as_deref(), Some("one"));
    bed.put("1", "due").await.unwrap();
    assert_eq!(bed.get("1").await.as_deref(), Some("due"));
}

#[tokio::test(start_paused = true)]
async fn a_row_is_marked_in_every_resource_that_shows_it() {
    let bed = Bed::new(strict());
    let twin = bed.another("people", strict());
    bed.space.set_siblings(vec![Arc::downgrade(&twin)]);
    twin.set_siblings(vec![Arc::downgrade(&bed.space)]);
    assert_eq!(value(&twin, "1").await.as_deref(), Some("one"));
    bed.put("1", "uno").await.unwrap();
    assert_eq!(value(&twin, "1").await.as_deref(), Some("uno"));
    twin.write(put("1", "due", Condition::Always)).await.unwrap();
    assert_eq!(bed.get("1").await.as_deref(), Some("due"));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_not_canonical_marks_the_canonical_one() {
    let bed = Bed::new(strict());
    bed.get("1").await;
    bed.put("001", "uno").await.unwrap();
    assert_eq!(bed.get("1").await.as_deref(), Some("uno"));
    bed.source.change_behind("1", Some("due"));
    bed.space.invalidate(&key("01")).await.unwrap();
    assert_eq!(bed.get("1").await.as_deref(), Some("due"));
}

#[tokio::test(start_paused = true)]
async fn a_read_only_resource_refuses_writes_with_the_remedy() {
    let bed = Bed::new(Policy { access: Access::Read, ..strict() });
    let error = bed.put("1", "uno").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly);
    assert!(error.to_string().contains("access = \"write\""));
}

#[tokio::test(start_paused = true)]
async fn a_bounded_write_that_is_dropped_during_its_commit_is_not_forgotten() {
    for policy in [bounded(), Policy { write: WriteStrategy::WriteAround, ..bounded() }] {
        let bed = Bed::new(policy);
        bed.get("1").await;
        bed.cache.set_down(true);
        bed.source.lose_next_commit_answer();
        let mut write = Box::pin(bed.put("1", "uno"));
        assert!((&mut write).now_or_never().is_none(), "the commit took place, its answer is on its way");
        drop(write);
        bed.cache.set_down(false);
        assert_eq!(bed.get("1").await.as_deref(), Some("uno"));
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(bed.space.get(&key("1")).await.unwrap().served, Served::Miss { stored: true });
    }
}

#[tokio::test(start_paused = true)]
async fn a_resource_without_a_cache_publishes_nothing_in_another() {
    let bed = Bed::new(strict());
    let plain = bed.another_without_cache("people", strict());
    plain.set_siblings(vec![Arc::downgrade(&bed.space)]);
    bed.get("1").await;
    plain.write(put("1", "as people show it", Condition::Always)).await.unwrap();
    assert_eq!(bed.space.get(&key("1")).await.unwrap().served, Served::Miss { stored: true });
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_is_touched_again_and_again_still_ages_out() {
    let bed = Bed::new(bounded());
    bed.get("1").await;
    bed.source.change_behind("1", Some("uno"));
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_secs(200)).await;
        drop(bed.space.touch(&key("1"), 300_000).await);
    }
    assert_eq!(bed.get("1").await.as_deref(), Some("uno"));
}

#[tokio::test(start_paused = true)]
async fn touching_an_absence_does_not_prolong_it_beyond_its_ttl() {
    let bed = Bed::new(bounded());
    bed.get("9").await;
    bed.source.change_behind("9", Some("nine"));
    drop(bed.space.touch(&key("9"), 300_000).await);
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(bed.get("9").await.as_deref(), Some("nine"));
}

#[tokio::test(start_paused = true)]
async fn write_around_marks_where_loads_do_not_notice_writers() {
    for (probes, served) in [(false, Served::Bypass(Bypass::Marked)), (true, Served::Miss { stored: false })]
    {
        let bed = Bed::new(Policy { write: WriteStrategy::WriteAround, probes, ..strict() });
        bed.get("1").await;
        bed.source.lose_next_commit_answer();
        let mut writing = Box::pin(bed.space.write(put("1", "uno", Condition::Always)));
        while bed.source.commits() == 0 {
            assert!((&mut writing).now_or_never().is_none(), "the commit never answers");
            tokio::task::yield_now().await;
        }
        // The commit is under way, and nobody may fill what was before.
        assert_eq!(bed.space.get(&key("1")).await.unwrap().served, served, "probes: {probes}");
    }
}
