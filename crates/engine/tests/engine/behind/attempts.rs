// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promises of write-behind over a source that keeps no watermark, as a service over HTTP.

use std::time::Duration;

use throughline_core::{ErrorKind, Position};
use throughline_engine::{BehindPolicy, Progress};
use throughline_testkit::MapJournal;

use super::house::{Daemon, House, by_hand};

fn house() -> House {
    let house = House::new();
    house.source.forget_lanes();
    house
}

fn applied(house: &House) -> Vec<Position> {
    house.source.applied().into_iter().map(|(_, position)| position).collect()
}

/// Lets the drain try for so long.
async fn try_for(daemon: &Daemon, seconds: u64) {
    daemon.behind.start_drain();
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// What comes between a try without an answer and the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Between {
    Nothing,
    Outage,
    Crash,
}

#[tokio::test(start_paused = true)]
async fn a_write_that_may_be_under_way_is_not_overtaken() {
    for between in [Between::Nothing, Between::Outage, Between::Crash] {
        let house = house();
        let mut daemon = house.daemon().await;
        daemon.put("1", "uno").await;
        let second = daemon.put("1", "due").await;
        house.source.linger_next();
        try_for(&daemon, 5).await;
        let third = daemon.put("1", "tre").await;
        match between {
            Between::Nothing => {}
            Between::Outage => {
                house.source.set_unavailable(true);
                try_for(&daemon, 60).await;
                house.source.set_unavailable(false);
            }
            Between::Crash => {
                drop(daemon);
                daemon = house.daemon().await;
            }
        }
        try_for(&daemon, 60).await;
        assert_eq!(house.source.row("1").as_deref(), Some("one"), "{between:?}: it is still at the second");
        assert!(house.source.finish_lingering());
        daemon.drain().await;
        assert_eq!(house.source.row("1").as_deref(), Some("tre"), "{between:?}");
        assert_eq!(applied(&house), [second, third], "{between:?}");
        assert_eq!(daemon.behind.letter_count(), 0, "{between:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_settled_before_the_last_attempt_is_not_given_again() {
    let house = house();
    let daemon = house.open("a", BehindPolicy { coalesce: false, ..by_hand() }).await.unwrap();
    let first = daemon.put("1", "uno").await;
    let second = daemon.put("1", "due").await;
    let records = house.journal.pending();
    daemon.drain().await;
    drop(daemon);
    // The journal's last marks are lost, and the service remembers nothing.
    let forgot = MapJournal::default();
    forgot.restore(&records, house.journal.next());
    let house = house.with_journal(forgot);
    house.source.forget_requests();
    let daemon = house.daemon().await;
    assert_eq!(daemon.behind.pending_count(), 1);
    daemon.drain().await;
    assert_eq!(applied(&house), [first, second, second]);
    assert!(daemon.behind.release().await.unwrap());
    assert!(house.letters.pending().is_empty(), "nothing is remembered of what is over");
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_place_a_dead_one_had_taken_is_pending_again_also_after_a_crash() {
    for crashes in [false, true] {
        let house = house();
        house.source.refuse_value("bad", ErrorKind::Constraint);
        let mut daemon = house.daemon().await;
        let good = daemon.put("1", "good").await;
        let bad = daemon.put("1", "bad").await;
        house.source.linger_next();
        try_for(&daemon, 5).await;
        assert!(matches!(daemon.behind.progress(bad), Progress::Dead { .. }));
        daemon.behind.discard_letter(bad).await.unwrap();
        if crashes {
            drop(daemon);
            daemon = house.daemon().await;
        }
        assert_eq!(daemon.behind.pending_count(), 1);
        assert_eq!(daemon.get_evicted("1").await.as_deref(), Some("good"));
        assert!(house.source.finish_lingering());
        daemon.drain().await;
        assert_eq!((house.source.row("1").as_deref(), applied(&house)), (Some("good"), vec![good]));
    }
}
