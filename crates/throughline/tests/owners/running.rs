// SPDX-License-Identifier: MIT OR Apache-2.0
//! The owner comes while others serve its table.

use throughline::{ErrorKind, Throughline};
use tokio::time::Instant;

use crate::database::{Kind, over_every_database};
use crate::{BEHIND, House, LIMIT, READ, THROUGH, get, key, kill, put, stop};

over_every_database! {
    whoever_serves_a_table_already_stops_when_another_writes_it_behind_and_goes_on_afterwards,
    what_was_filled_before_a_daemon_noticed_the_owner_is_not_used_by_the_owner,
}

pub(crate) async fn until_owner(daemon: &Throughline, name: &str, is_other: bool) {
    let begun = Instant::now();
    while daemon.listing(name).unwrap().space.yielded_to().is_some() != is_other {
        assert!(begun.elapsed() < LIMIT, "{name}: not after {LIMIT:?}");
        tokio::task::yield_now().await;
    }
}

async fn whoever_serves_a_table_already_stops_when_another_writes_it_behind_and_goes_on_afterwards(
    kind: Kind,
) {
    let house = House::new(kind, "owners_running");
    house.install().await;
    let reader = house.open("reader", ("payment", "payment", READ)).await.unwrap();
    let writer = house.open("writer", ("paid", "payment", THROUGH)).await.unwrap();
    let other = house.open("other", ("refund", "refund", THROUGH)).await.unwrap();
    assert_eq!(get(&writer, "paid").await.unwrap(), "{\"id\":1,\"amount\":1}");
    let owner = house.open("owner", ("payment", "payment", BEHIND)).await.unwrap();
    put(&owner, "payment", 100).await.unwrap();
    until_owner(&reader, "payment", true).await;
    until_owner(&writer, "paid", true).await;
    for error in [
        get(&reader, "payment").await.unwrap_err(),
        get(&writer, "paid").await.unwrap_err(),
        put(&writer, "paid", 5).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.detail().contains("is written behind by `the daemon on"), "{error}");
    }
    let many = writer.listing("paid").unwrap().space.get_many(&[key()]).await;
    assert!(many[0].is_err());
    put(&other, "refund", 5).await.unwrap();
    assert_eq!(get(&owner, "payment").await.unwrap(), "{\"id\":1,\"amount\":100}");
    stop(owner).await;
    until_owner(&reader, "payment", false).await;
    until_owner(&writer, "paid", false).await;
    assert_eq!(get(&reader, "payment").await.unwrap(), "{\"id\":1,\"amount\":100}");
    assert_eq!(get(&writer, "paid").await.unwrap(), "{\"id\":1,\"amount\":100}", "no entry from before");
    put(&writer, "paid", 5).await.unwrap();
    for daemon in [reader, writer, other] {
        kill(daemon).await;
    }
}

/// The entry of an accepted write gets lost, and who does not know of the owner yet fills the row from before.
async fn what_was_filled_before_a_daemon_noticed_the_owner_is_not_used_by_the_owner(kind: Kind) {
    let house = House::new(kind, "owners_filled");
    house.install().await;
    let reader = house.open("reader", ("payment", "payment", READ)).await.unwrap();
    let owner = house.open("owner", ("payment", "payment", BEHIND)).await.unwrap();
    put(&owner, "payment", 100).await.unwrap();
    let space = reader.listing("payment").unwrap().space.clone();
    let (begun, mut is_old) = (Instant::now(), false);
    while space.yielded_to().is_none() && begun.elapsed() < LIMIT {
        is_old |= get(&owner, "payment").await.unwrap() == "{\"id\":1,\"amount\":1}";
        if !is_old {
            space.invalidate(&key()).await.unwrap();
            // Refused from when the owner was noticed.
            let _ = get(&reader, "payment").await;
        }
    }
    let begun = Instant::now();
    while get(&owner, "payment").await.unwrap() != "{\"id\":1,\"amount\":100}" {
        assert!(begun.elapsed() < LIMIT / 2, "the owner still shows what the reader filled");
    }
    assert!(is_old, "nothing old was filled, so nothing was tried");
    for daemon in [reader, owner] {
        kill(daemon).await;
    }
}
