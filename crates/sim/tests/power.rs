// SPDX-License-Identifier: MIT OR Apache-2.0
//! Accepted writes survive losses of power, and whoever does not sync is convicted.

use throughline_sim::power::{Keeping, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_losses_of_power_lose_nothing_and_apply_nothing_twice() {
    let report = run(Keeping::Journal, 20, 1).await;
    assert_eq!(report.breaches(), 0, "{report:?}");
    assert!(report.rounds == 20 && report.accepted > 200 && report.applied > 100, "{report:?}");
    assert!(report.letters > 0, "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_before_a_service_that_finishes_late_what_was_given_up() {
    let report = run(Keeping::JournalBeforeService, 20, 1).await;
    assert_eq!(report.breaches(), 0, "{report:?}");
    assert!(report.rounds == 20 && report.accepted > 200 && report.applied > 50, "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_without_syncs_is_convicted() {
    let report = run(Keeping::Unsynced, 20, 1).await;
    assert!(report.stale + report.lost + report.refused > 0, "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_in_memory_is_convicted() {
    let report = run(Keeping::Memory, 20, 1).await;
    assert!(report.stale > 0, "{report:?}");
}
