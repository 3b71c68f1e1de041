// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promises about when something is over, and about what nobody knows.

use throughline_core::{Condition, ErrorKind};

use super::house::{House, by_hand};
use crate::bed::put;

#[tokio::test(start_paused = true)]
async fn a_drain_is_over_when_no_entry_is_left_that_differs_from_its_row() {
    let house = House::new();
    house.source.rewrite("uno ", "uno");
    let daemon = house.daemon().await;
    daemon.put("1", "uno ").await;
    // Other lanes are done sooner.
    for number in 0..40 {
        daemon.put(&format!("k{number}"), "v").await;
    }
    daemon.cache.set_invalidate_ms(50);
    daemon.drain().await;
    assert!(daemon.behind.release().await.unwrap());
    drop(daemon);
    let next = house.open("b", by_hand()).await.unwrap();
    assert_eq!(next.get("1").await.as_deref(), Some("uno"), "what the row has");
}

#[tokio::test(start_paused = true)]
async fn a_group_of_which_one_may_be_kept_is_not_told_as_refused() {
    let house = House::new();
    let daemon = house.daemon().await;
    let writes = [put("1", "uno", Condition::Always), put("1", "due", Condition::Always)];
    for kinds in [
        [ErrorKind::Overloaded, ErrorKind::OutcomeUnknown],
        [ErrorKind::OutcomeUnknown, ErrorKind::Overloaded],
    ] {
        house.journal.fail_next(kinds);
        let prepared = daemon.behind.writer();
        let prepared = prepared.prepare(&writes).await.unwrap();
        assert_eq!(prepared.commit().await.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
    }
    assert_eq!(daemon.behind.pending_count(), 0);
}
