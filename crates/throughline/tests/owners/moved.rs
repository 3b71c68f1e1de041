// SPDX-License-Identifier: MIT OR Apache-2.0
//! A resource that is written behind gets another table.

use crate::database::{Database, Kind, over_every_database};
use crate::{BEHIND, House, get, kill, put, stop};

over_every_database! {
    what_was_accepted_for_a_table_is_not_applied_to_another,
    a_table_that_was_renamed_takes_what_was_accepted_for_it,
}

async fn what_was_accepted_for_a_table_is_not_applied_to_another(kind: Kind) {
    let house = House::new(kind, "owners_moved");
    house.install().await;
    let owner = house.open("one", ("payment", "payment", BEHIND)).await.unwrap();
    put(&owner, "payment", 100).await.unwrap();
    kill(owner).await;
    let refused = house.refused("one", ("payment", "refund", BEHIND)).await;
    let (text, help) = (refused.to_string(), refused.help.unwrap_or_default());
    assert!(text.contains("for the table `payment`, and it is over `refund` now"), "{text}");
    assert!(help.contains("set the table back until `throughline drain`"), "{help}");
    let owner = house.open("one", ("payment", "payment", BEHIND)).await.unwrap();
    // Applied, and not given up.
    owner.listing("payment").unwrap().behind.as_ref().unwrap().drain().await.unwrap();
    kill(owner).await;
    let moved = house.open("one", ("payment", "refund", BEHIND)).await.unwrap();
    put(&moved, "payment", 7).await.unwrap();
    stop(moved).await;
    let rows = "SELECT amount FROM payment UNION ALL SELECT amount FROM refund";
    assert_eq!(Database::shared(kind).execute_in("owners_moved", rows).trim(), "100\n7");
}

async fn a_table_that_was_renamed_takes_what_was_accepted_for_it(kind: Kind) {
    let house = House::new(kind, "owners_renamed");
    house.install().await;
    let owner = house.open("one", ("payment", "payment", BEHIND)).await.unwrap();
    put(&owner, "payment", 100).await.unwrap();
    kill(owner).await;
    Database::shared(kind).execute_in("owners_renamed", "ALTER TABLE payment RENAME TO paid");
    let owner = house.open("one", ("payment", "paid", BEHIND)).await.unwrap();
    assert_eq!(get(&owner, "payment").await.unwrap(), "{\"id\":1,\"amount\":100}");
    stop(owner).await;
}
