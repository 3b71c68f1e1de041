// SPDX-License-Identifier: MIT OR Apache-2.0
//! The outbox: what other programs change is told, once to each consumer, whatever happens in between.

use std::collections::BTreeSet;

use throughline_core::{Condition, Feed};

use crate::fixture::{apply, delete, put};
use crate::servers::outbox::{SHARED, database, drained, feed, set, spelled, writing};

#[tokio::test(flavor = "multi_thread")]
async fn every_shape_of_key_is_told_as_the_canonical_key() {
    let schema = "create table n (id bigint unsigned primary key, v int); \
        create table pair (a varchar(40) collate utf8mb4_nopad_bin, b int, v int, primary key (a, b)); \
        create table bin (id varbinary(8) primary key); create table fix (id binary(3) primary key); \
        create table bits (id bit(9) primary key); create table u (id uuid primary key); \
        create table d (id decimal(6,2) primary key); create table day (id date primary key); \
        create table ci (id varchar(20) primary key) character set latin1; \
        create table e (id enum('x','y:z') primary key); create table t (id datetime primary key)";
    let tables = ["n", "pair", "bin", "fix", "bits", "u", "d", "day", "ci", "e", "t"];
    let database = database("outbox_keys", schema, &tables).await;
    let feed = feed(&database, SHARED).await;
    database.sql(
        "insert into n values (18446744073709551615, 1); update n set v = 2; \
         insert into pair values ('a:b% \\n\u{fc}', -1, 0), ('', 7, 0); insert into bin values (x'00ff3a'); \
         insert into fix values (x'61'); insert into bits values (b'100000001'); \
         insert into u values ('0192F0C1-2345-7ABC-8DEF-0123456789AB'); insert into d values (1.5); \
         insert into day values ('2024-02-29'); insert into ci values ('B\u{f6}b'); insert into e values ('y:z'); \
         insert into t values ('2024-02-29 10:00:00')",
    );
    let told = set([
        "n 18446744073709551615",
        "pair a%3Ab%25%20%0A\u{fc}:-1",
        "pair :7",
        "bin %00%FF%3A",
        "fix a%00%00",
        "bits 257",
        "u 0192f0c1-2345-7abc-8def-0123456789ab",
        "d 1.50",
        "day 2024-02-29",
        "ci B\u{f6}b",
        "e y%3Az",
        "t *",
    ]);
    let mut heard = drained(&feed).await;
    // A table that is told as a whole is told once more, as every daemon is.
    feed.wait().await;
    heard.extend(drained(&feed).await);
    assert_eq!(heard, told);
    database.sql("update ci set id = 'B\u{d6}B'; update n set id = 5; delete from pair where b = 7");
    let told = set(["ci B\u{f6}b", "ci B\u{d6}B", "n 18446744073709551615", "n 5", "pair :7"]);
    assert_eq!(drained(&feed).await, told);
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_writes_are_not_told_unless_they_changed_another_row() {
    let schema = "create table sale (id int primary key, product int); \
        create table stock (id int primary key, n int); insert into stock values (7, 10); \
        create trigger taken after insert on sale for each row update stock set n = n - 1 where id = new.product";
    let database = database("outbox_echo", schema, &["sale", "stock"]).await;
    let feed = feed(&database, SHARED).await;
    let sale = writing(&database, SHARED, "sale").await;
    apply(&sale, put("1", r#"{"product":null}"#)).await.unwrap();
    apply(&sale, put("1", r#"{"product":8}"#)).await.unwrap();
    assert_eq!(drained(&feed).await, set([]));
    apply(&sale, put("2", r#"{"product":7}"#)).await.unwrap();
    assert_eq!(drained(&feed).await, set(["stock 7"]));
    apply(&sale, delete("2", Condition::Always)).await.unwrap();
    assert_eq!(drained(&feed).await, set([]));
    // The planted fault: a writer that does not say who it is.
    let stranger = database.table("sale").await;
    apply(&stranger, put("1", r#"{"product":9}"#)).await.unwrap();
    assert_eq!(drained(&feed).await, set(["sale 1"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_a_trigger_changes_in_our_own_write_is_told() {
    let schema = "create table t (id int primary key, v int); insert into t values (1, 1); \
        create trigger moves before update on t for each row set new.id = old.id + new.v";
    let database = database("outbox_moves", schema, &["t"]).await;
    let feed = feed(&database, SHARED).await;
    let table = writing(&database, SHARED, "t").await;
    apply(&table, put("1", r#"{"v":10}"#)).await.unwrap();
    assert_eq!(drained(&feed).await, set(["t 1", "t 11"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn more_rows_than_can_be_named_are_told_as_their_table() {
    let schema = "create table big (id int primary key, v int); insert into big select seq, 0 from seq_1_to_30000; \
        create table small (id int primary key)";
    let database = database("outbox_big", schema, &["big", "small"]).await;
    let feed = feed(&database, SHARED).await;
    database.sql("update big set v = 1; insert into small values (1)");
    let mut batches = 0;
    let mut told = BTreeSet::new();
    loop {
        let batch = feed.take().await.unwrap();
        assert!(batch.news.len() <= 1_002, "{}", batch.news.len());
        let done = batch.is_all && batch.news.is_empty();
        told.extend(spelled(&batch.news));
        batch.receipt.confirm().await.unwrap();
        batches += 1;
        if done {
            break;
        }
    }
    assert!(told.contains("big *") && batches < 15, "{batches} batches");
    assert!(told.contains("small 1") || told.contains("small *"), "{told:?}");
    assert_eq!(database.sql("select count(*) from tl_outbox"), "0");
}
