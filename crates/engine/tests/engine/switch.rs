// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promises of the switch.

use throughline_core::{ErrorKind, Mode, Scope};
use throughline_engine::{Bypass, Served};

use crate::bed::{Bed, bounded, key, strict};

#[tokio::test(start_paused = true)]
async fn in_mode_source_every_read_asks_the_source() {
    for scope in [Scope::Shared, Scope::Process] {
        let bed = Bed::with_scope(strict(), scope);
        bed.get("1").await;
        assert_eq!(bed.space.set_mode(Mode::Source).await.unwrap(), Mode::Cache);
        bed.source.change_behind("1", Some("uno"));
        assert_eq!(bed.space.get(&key("1")).await.unwrap().served, Served::Bypass(Bypass::Mode));
        assert_eq!(bed.get("1").await.as_deref(), Some("uno"));
    }
}

#[tokio::test(start_paused = true)]
async fn coming_back_never_serves_what_a_write_in_the_gap_replaced() {
    for scope in [Scope::Shared, Scope::Process] {
        let bed = Bed::with_scope(strict(), scope);
        bed.get("1").await;
        bed.space.set_mode(Mode::Source).await.unwrap();
        bed.put("1", "uno").await.unwrap();
        bed.space.set_mode(Mode::Cache).await.unwrap();
        assert_eq!(bed.get("1").await.as_deref(), Some("uno"));
    }
}

#[tokio::test(start_paused = true)]
async fn entries_of_this_process_from_before_the_gap_are_dropped() {
    let bed = Bed::with_scope(strict(), Scope::Process);
    bed.get("1").await;
    bed.space.set_mode(Mode::Source).await.unwrap();
    bed.source.change_behind("1", Some("changed by another program"));
    bed.space.set_mode(Mode::Cache).await.unwrap();
    assert_eq!(bed.get("1").await.as_deref(), Some("changed by another program"));
}

#[tokio::test(start_paused = true)]
async fn the_way_back_is_closed_while_an_invalidation_is_owed() {
    let bed = Bed::new(bounded());
    bed.get("1").await;
    bed.space.set_mode(Mode::Source).await.unwrap();
    bed.cache.set_down(true);
    bed.put("1", "uno").await.unwrap();
    let error = bed.space.set_mode(Mode::Cache).await.unwrap_err();
    assert_eq!((error.kind(), bed.space.mode()), (ErrorKind::Unavailable, Mode::Source));
    bed.cache.set_down(false);
    bed.space.set_mode(Mode::Cache).await.unwrap();
    assert_eq!(bed.get("1").await.as_deref(), Some("uno"));
}

#[tokio::test(start_paused = true)]
async fn shadow_answers_from_the_source_and_counts_differences() {
    let bed = Bed::new(strict());
    bed.get("1").await;
    bed.get("2").await;
    bed.space.set_mode(Mode::Shadow).await.unwrap();
    bed.source.change_behind("1", Some("uno"));
    assert_eq!(bed.get("1").await.as_deref(), Some("uno"));
    assert_eq!(bed.get("2").await.as_deref(), Some("two"));
    let stats = bed.space.stats();
    assert_eq!((stats.shadow_compared.get(), stats.shadow_differences.get()), (2, 1));
    bed.space.set_mode(Mode::Cache).await.unwrap();
    assert_eq!(bed.get("1").await.as_deref(), Some("uno"), "the differing entry was dropped");
}

#[tokio::test(start_paused = true)]
async fn switching_to_the_same_mode_changes_nothing() {
    let bed = Bed::with_scope(strict(), Scope::Process);
    bed.get("1").await;
    bed.space.set_mode(Mode::Cache).await.unwrap();
    assert!(bed.space.try_get("1").is_some());
    assert_eq!(bed.space.stats().mode_switches.get(), 0);
}
