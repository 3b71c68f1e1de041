// SPDX-License-Identifier: MIT OR Apache-2.0
//! A file: one process owns it for writing, so what is left is who only reads it, and who owned it before.

use throughline_testkit::Scratch;

use crate::{BEHIND, House, READ, SCHEMA, THROUGH, get, kill, put, stop};

#[tokio::test(flavor = "multi_thread")]
async fn a_file_s_table_that_is_written_behind_is_neither_read_nor_taken_over() {
    let files = Scratch::new();
    let path = files.path().join("shop.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch(SCHEMA).unwrap();
    let house = House::over(format!("sqlite:{}", path.display()));
    house.install().await;
    let owner = house.open("one", ("payment", "payment", BEHIND)).await.unwrap();
    put(&owner, "payment", 100).await.unwrap();
    let refused = house.refused("two", ("paid", "payment", READ)).await;
    assert!(refused.to_string().contains("is written behind by `the daemon on"), "{refused}");
    kill(owner).await;
    let refused = house.refused("two", ("paid", "payment", THROUGH)).await;
    assert!(refused.to_string().contains("is written behind by `the daemon on"), "{refused}");
    stop(house.open("one", ("payment", "payment", BEHIND)).await.unwrap()).await;
    let reader = house.open("two", ("paid", "payment", READ)).await.unwrap();
    assert_eq!(get(&reader, "paid").await.unwrap(), "{\"id\":1,\"amount\":100}");
}
