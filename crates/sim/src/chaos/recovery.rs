// SPDX-License-Identifier: MIT OR Apache-2.0
//! When callers are served from the caches again.
//!
//! A server that is fenced again and again is taken in again ever later, at most five minutes after it was last seen
//! to be well. So the end of a run may be too early to look, and those who look must wait.

use std::time::Duration;

use tokio::time::Instant;

use crate::Workload;
use crate::history::ServedFrom;
use crate::sut::{Client, System};

/// The longest time before a readmission, and some more for the daemons to notice.
const LIMIT: Duration = Duration::from_secs(330);
const CALL_TIMEOUT: Duration = Duration::from_secs(1);
const REST: Duration = Duration::from_millis(500);

/// Reads until `ratio_min` of the answers are hits; how long that took, `None` when it did not come so far.
pub(super) async fn hits_back(system: &dyn System, workload: &Workload, ratio_min: f64) -> Option<Duration> {
    let began = Instant::now();
    let mut doors = system.doors();
    loop {
        let since = began.elapsed();
        // What the first look fills, the second finds.
        look(&mut doors, workload).await;
        let (said, hits) = look(&mut doors, workload).await;
        if said > 0 && hits as f64 >= ratio_min * said as f64 {
            return Some(since);
        }
        if since >= LIMIT {
            return None;
        }
        tokio::time::sleep(REST).await;
    }
}

/// Reads every key through every door: how many answers said who gave them, and how many of these were hits.
async fn look(doors: &mut [Box<dyn Client>], workload: &Workload) -> (u64, u64) {
    let (mut said, mut hits) = (0, 0);
    for door in doors {
        for key in workload.keys() {
            let Ok(Some(answer)) = tokio::time::timeout(CALL_TIMEOUT, door.get(key)).await else { continue };
            said += u64::from(answer.served != ServedFrom::Unsaid);
            hits += u64::from(matches!(answer.served, ServedFrom::L1 | ServedFrom::L2));
        }
    }
    (said, hits)
}
