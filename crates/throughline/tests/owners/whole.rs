// SPDX-License-Identifier: MIT OR Apache-2.0
//! A source that is to be served whole, of which a table has an owner.

use throughline::{Assembly, ErrorKind};

use crate::database::{Kind, over_every_database};
use crate::running::until_owner;
use crate::{BEHIND, House, get, key, kill, put, stop};

over_every_database! {
    of_a_whole_source_only_the_table_that_somebody_owns_waits,
}

async fn of_a_whole_source_only_the_table_that_somebody_owns_waits(kind: Kind) {
    let house = House::new(kind, "owners_whole");
    house.install().await;
    let owner = house.open("one", ("payment", "payment", BEHIND)).await.unwrap();
    put(&owner, "payment", 100).await.unwrap();
    let settings = |tables: &str| {
        let source = format!("url = \"{}\"\ntables = {tables}\n", house.url);
        house.parse("two", &source, "")
    };
    let named = Assembly::new(settings("[\"payment\"]")).open().await.unwrap_err();
    assert!(named.to_string().contains("resource `payment` cannot be served"), "{named}");
    let whole = Assembly::new(settings("\"all\"")).open().await.unwrap();
    let is_told = |notice: &&throughline::Notice| {
        notice.text.contains("`payment` is not served") && notice.text.contains("/one/journal")
    };
    assert_eq!(whole.notices().iter().filter(is_told).count(), 1, "{:?}", whole.notices());
    let error = get(&whole, "payment").await.unwrap_err();
    assert_eq!((error.kind(), error.detail().contains("/one/journal")), (ErrorKind::Unavailable, true));
    assert!(whole.listing("refund").unwrap().space.get(&key()).await.is_ok());
    stop(owner).await;
    until_owner(&whole, "payment", false).await;
    assert_eq!(get(&whole, "payment").await.unwrap(), "{\"id\":1,\"amount\":100}");
    kill(whole).await;
}
