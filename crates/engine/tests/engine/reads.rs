// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promises of reads.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use throughline_core::{ErrorKind, Mode, ReadStrategy, Scope, WriteStrategy};
use throughline_engine::{Bypass, Policy, Served};

use crate::bed::{Bed, bounded, key, strict, value};

#[tokio::test(start_paused = true)]
async fn the_second_read_is_a_hit() {
    let bed = Bed::new(strict());
    assert_eq!(bed.space.get(&key("1")).await.unwrap().served, Served::Miss { stored: true });
    let second = bed.space.get(&key("1")).await.unwrap();
    assert_eq!((second.served, second.record().unwrap().value.as_ref()), (Served::Hit, b"one".as_slice()));
    assert_eq!(bed.source.loads(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_absent_record_is_asked_for_once() {
    let bed = Bed::new(strict());
    assert_eq!((bed.get("9").await, bed.get("9").await), (None, None));
    assert_eq!(bed.source.loads(), 1);
    assert_eq!(bed.space.stats().negative_hits.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_entry_and_a_negative_entry_expire() {
    let bed = Bed::new(bounded());
    bed.get("1").await;
    bed.get("9").await;
    bed.source.change_behind("1", Some("uno"));
    bed.source.change_behind("9", Some("nine"));
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert_eq!((bed.get("1").await.as_deref(), bed.get("9").await.as_deref()), (Some("one"), Some("nine")));
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(bed.get("1").await.as_deref(), Some("uno"));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_concurrent_misses_are_one_load() {
    for scope in [Scope::Shared, Scope::Process] {
        let bed = Bed::with_scope(strict(), scope);
        bed.source.open_reads(false);
        let mut reads = Box::pin(join_all((0..1_000).map(|_| bed.get("1"))));
        assert!((&mut reads).now_or_never().is_none());
        bed.source.open_reads(true);
        let answers = reads.await;
        assert!(answers.iter().all(|answer| answer.as_deref() == Some("one")));
        assert_eq!(bed.source.loads(), 1, "{scope:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_single_flight_concurrent_misses_are_many_loads() {
    // The control for the test above: cache-aside promises no merging.
    let bed = Bed::new(Policy { read: ReadStrategy::CacheAside, ..strict() });
    bed.source.open_reads(false);
    let one = key("1");
    let mut reads = Box::pin(join_all((0..10).map(|_| bed.space.get(&one))));
    assert!((&mut reads).now_or_never().is_none());
    bed.source.open_reads(true);
    reads.await;
    assert!(bed.source.loads() > 1);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_read_gives_its_lease_back() {
    let bed = Bed::new(strict());
    bed.source.open_reads(false);
    let one = key("1");
    let mut read = Box::pin(bed.space.get(&one));
    assert!((&mut read).now_or_never().is_none());
    drop(read);
    bed.source.open_reads(true);
    assert_eq!(bed.space.get(&one).await.unwrap().served, Served::Miss { stored: true });
}

#[tokio::test(start_paused = true)]
async fn a_failed_load_gives_its_lease_back() {
    let bed = Bed::new(strict());
    bed.source.set_unavailable(true);
    assert_eq!(bed.space.get(&key("1")).await.unwrap_err().kind(), ErrorKind::Unavailable);
    bed.source.set_unavailable(false);
    assert_eq!(bed.space.get(&key("1")).await.unwrap().served, Served::Miss { stored: true });
}

#[tokio::test(start_paused = true)]
async fn hits_are_served_while_the_source_is_gone() {
    let bed = Bed::new(strict());
    bed.get("1").await;
    bed.source.set_unavailable(true);
    assert_eq!(bed.get("1").await.as_deref(), Some("one"));
}

#[tokio::test(start_paused = true)]
async fn reads_work_without_the_cache_and_merge() {
    let bed = Bed::new(strict());
    bed.cache.set_down(true);
    let one = key("1");
    bed.source.open_reads(false);
    let mut reads = Box::pin(join_all((0..100).map(|_| bed.space.get(&one))));
    assert!((&mut reads).now_or_never().is_none());
    bed.source.open_reads(true);
    let answers = reads.await;
    let past = Served::Bypass(Bypass::CacheError);
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().served == past));
    assert!(bed.source.loads() <= 2, "{} loads", bed.source.loads());
}

#[tokio::test(start_paused = true)]
async fn a_reader_waits_for_anothers_load_and_then_hits() {
    let bed = Bed::new(strict());
    let other_daemon = bed.another("person", strict());
    bed.source.open_reads(false);
    let one = key("1");
    let mut loading = Box::pin(bed.space.get(&one));
    assert!((&mut loading).now_or_never().is_none());
    let mut waiting = Box::pin(value(&other_daemon, "1"));
    assert!((&mut waiting).now_or_never().is_none());
    bed.source.open_reads(true);
    loading.await.unwrap();
    assert_eq!(waiting.await.as_deref(), Some("one"));
    assert_eq!(bed.source.loads(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_reader_does_not_wait_for_ever_for_anothers_load() {
    let bed = Bed::new(strict());
    let other_daemon = bed.another("person", strict());
    bed.source.open_reads(false);
    let one = key("1");
    let mut stuck = Box::pin(bed.space.get(&one));
    assert!((&mut stuck).now_or_never().is_none());
    let mut waiting = Box::pin(other_daemon.get(&one));
    tokio::select! {
        () = tokio::time::sleep(Duration::from_millis(60)) => bed.source.open_reads(true),
        _ = &mut waiting => unreachable!("the source is closed"),
    }
    assert_eq!(waiting.await.unwrap().served, Served::Bypass(Bypass::Busy));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_not_canonical_is_answered_uncached() {
    let bed = Bed::new(strict());
    assert_eq!(bed.space.get(&key("001")).await.unwrap().served, Served::Bypass(Bypass::Key));
    assert_eq!(bed.get("001").await.as_deref(), Some("one"));
    assert_eq!(bed.source.loads(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_entry_of_another_schema_is_never_returned() {
    let bed = Bed::new(strict());
    bed.get("1").await;
    // The same resource name with another fingerprint: a daemon that saw the table before an ALTER.
    let stranger = bed.another_schema("person", strict());
    assert_eq!(stranger.get(&key("1")).await.unwrap().served, Served::Bypass(Bypass::Foreign));
    assert_eq!(stranger.get(&key("1")).await.unwrap().served, Served::Miss { stored: true });
}

#[tokio::test(start_paused = true)]
async fn a_record_above_the_limit_is_served_and_not_cached() {
    let bed = Bed::new(Policy { entry_bytes_max: 3, ..strict() });
    assert_eq!(bed.space.get(&key("3")).await.unwrap().served, Served::Miss { stored: false });
    assert_eq!(bed.space.get(&key("1")).await.unwrap().served, Served::Miss { stored: true });
    assert_eq!(bed.space.stats().fills_too_large.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_fresh_read_asks_the_source_and_a_cached_one_never_does() {
    let bed = Bed::new(bounded());
    assert_eq!(bed.space.get_cached(&key("1")).await.unwrap(), None);
    bed.get("1").await;
    bed.source.change_behind("1", Some("uno"));
    assert_eq!(bed.space.get_fresh(&key("1")).await.unwrap().record().unwrap().value.as_ref(), b"uno");
    assert_eq!(
        bed.space.get_cached(&key("1")).await.unwrap().unwrap().record().unwrap().value.as_ref(),
        b"one"
    );
    assert_eq!(bed.source.loads(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_hit_in_this_process_needs_no_future() {
    let bed = Bed::with_scope(strict(), Scope::Process);
    assert!(bed.space.try_get("1").is_none());
    bed.get("1").await;
    assert_eq!(bed.space.try_get("1").unwrap().into_entry().record.unwrap().value.as_ref(), b"one");
    assert_eq!(bed.cache.look_ups(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_flight_that_went_past_the_cache_takes_no_joiner_after_a_write() {
    for scope in [Scope::Shared, Scope::Process] {
        let bed = Bed::with_scope(Policy { write: WriteStrategy::WriteAround, ..strict() }, scope);
        let twin = bed.another("person", strict());
        let one = key("1");
        bed.source.open_reads(false);
        let mut leased = Box::pin(twin.get(&one));
        assert!((&mut leased).now_or_never().is_none(), "it holds the lease");
        let mut early = Box::pin(bed.space.get(&one));
        assert!(tokio::time::timeout(Duration::from_millis(60), &mut early).await.is_err(), "it bypasses");
        bed.put("1", "uno").await.unwrap();
        let mut late = Box::pin(bed.get("1"));
        assert!((&mut late).now_or_never().is_none());
        // The early load's snapshot is from before the write.
        bed.source.change_behind("1", Some("one"));
        bed.source.open_reads(true);
        early.await.unwrap();
        bed.source.change_behind("1", Some("uno"));
        assert_eq!(late.await.as_deref(), Some("uno"), "{scope:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_budget_of_bypasses_refuses_what_a_failing_cache_sends_to_the_source_and_spares_mode_source() {
    let bed = Bed::new(strict());
    let space = bed.another_with_bypass_rate("person", 10);
    bed.cache.set_down(true);
    let mut over = 0;
    for _ in 0..25 {
        match space.get(&key("1")).await {
            Ok(read) => assert_eq!(read.served, Served::Bypass(Bypass::CacheError)),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Overloaded);
                over += 1;
            }
        }
    }
    let keys = [key("1"), key("2")];
    assert!(space.get_many(&keys).await.iter().all(Result::is_err));
    assert_eq!((over, bed.source.loads()), (15, 10));
    assert_eq!(space.stats().bypass_over_rate.get(), 17);
    space.set_mode(Mode::Source).await.unwrap();
    assert!(space.get(&key("1")).await.is_ok());
}
