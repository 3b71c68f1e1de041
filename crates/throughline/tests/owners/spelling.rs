// SPDX-License-Identifier: MIT OR Apache-2.0
//! A server that does not tell upper from lower case in the names of databases.

use throughline_testkit::{Mariadb, MariadbOptions};

use crate::{BEHIND, House, READ, SCHEMA, kill, stop};

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_is_seen_however_the_database_is_spelled() {
    let args = vec!["--lower-case-table-names=1".to_owned()];
    let server = Mariadb::start(MariadbOptions { args, ..MariadbOptions::fast() });
    let url = server.create_database("shop");
    server.execute(&format!("use shop; {SCHEMA}"));
    let house = House::over(url);
    house.install().await;
    let owner = house.open("one", ("payment", "payment", BEHIND)).await.unwrap();
    let other = house.url.replace("/shop", "/Shop");
    assert_ne!(other, house.url);
    let settings = house.settings(&other, "two", ("paid", "payment", READ));
    let refused = throughline::Assembly::new(settings).open().await.unwrap_err();
    assert!(refused.to_string().contains("is written behind by `the daemon on"), "{refused}");
    stop(owner).await;
    kill(house.open("two", ("paid", "payment", READ)).await.unwrap()).await;
}
