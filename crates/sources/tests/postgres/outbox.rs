// SPDX-License-Identifier: MIT OR Apache-2.0
//! The outbox: what other programs change is told, once to each consumer, whatever happens in between.

use throughline_core::{Condition, Feed};

use crate::fixture::{Database, apply, delete, put};
use crate::server::install_outbox;
use crate::servers::outbox::{SHARED, config, database, drained, feed, set, settled, writing};

#[tokio::test(flavor = "multi_thread")]
async fn every_shape_of_key_is_told_as_the_canonical_key() {
    let schema = "create table n (id bigint primary key, v int); \
        create table pair (a text, b int, v int, primary key (a, b)); create table bin (id bytea primary key); \
        create table u (id uuid primary key); create table d (id numeric primary key); \
        create table day (id date primary key); create table ts (id timestamptz primary key); \
        create type mood as enum ('x', 'y:z'); create table e (id mood primary key); \
        create table b (id boolean primary key); create table f (id float8 primary key); \
        create schema other; create table other.t (id int primary key)";
    let tables = ["n", "pair", "bin", "u", "d", "day", "ts", "e", "b", "f", "other.t"];
    let database = database("outbox_keys", schema, &tables).await;
    let feed = feed(&database, SHARED).await;
    database.sql(
        "set timezone = 'America/New_York'; set datestyle = 'German'; \
         insert into n values (-42, 1); update n set v = 2; \
         insert into pair values (E'a:b% \\n\u{fc}', -1, 0), ('', 7, 0); insert into bin values ('\\x00ff3a'); \
         insert into u values ('0192F0C1-2345-7ABC-8DEF-0123456789AB'); insert into d values (1.50); \
         insert into day values ('2024-02-29'::date); insert into ts values ('2024-02-29T10:00:00Z'::timestamptz); \
         insert into e values ('y:z'); insert into b values (true); insert into f values (0.1); \
         insert into other.t values (7)",
    );
    let told = set([
        "n -42",
        "pair a%3Ab%25%20%0A\u{fc}:-1",
        "pair :7",
        "bin %00%FF%3A",
        "u 0192f0c1-2345-7abc-8def-0123456789ab",
        "d 1.50",
        "day 2024-02-29",
        "ts 2024-02-29%2010%3A00%3A00+00",
        "e y%3Az",
        "b true",
        "f *",
        "other.t 7",
    ]);
    let mut heard = drained(&feed).await;
    feed.wait().await;
    heard.extend(drained(&feed).await);
    assert_eq!(heard, told);
    // A timestamp is told as the resource spells it.
    let stamps = database.table("ts").await;
    assert!(crate::fixture::value(&stamps, "2024-02-29%2010%3A00%3A00+00").await.is_some());
    database.sql("update n set id = 5; delete from pair where b = 7");
    assert_eq!(drained(&feed).await, set(["n -42", "n 5", "pair :7"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_writes_are_not_told_unless_they_changed_another_row() {
    let schema = "create table parent (id int primary key, v int); \
        create table child (id int primary key, parent int references parent on delete cascade); \
        create table log (id int primary key, n int); insert into log values (7, 0); \
        create function note() returns trigger language plpgsql as $$ begin update log set n = n + 1; return null; end $$; \
        create trigger noted after update on parent for each row execute function note(); \
        create table moved (id int primary key, v int); insert into moved values (1, 1); \
        create function move() returns trigger language plpgsql as $$ begin new.id := old.id + new.v; return new; end $$; \
        create trigger moves before update on moved for each row execute function move()";
    let database = database("outbox_echo", schema, &["parent", "child", "log", "moved"]).await;
    let feed = feed(&database, SHARED).await;
    let parent = writing(&database, SHARED, "parent").await;
    apply(&parent, put("1", r#"{"v":1}"#)).await.unwrap();
    apply(&parent, put("2", r#"{"v":1}"#)).await.unwrap();
    assert_eq!(drained(&feed).await, set([]));
    apply(&parent, put("1", r#"{"v":2}"#)).await.unwrap();
    assert_eq!(drained(&feed).await, set(["log 7"]), "another trigger's change");
    database.sql("insert into child values (10, 1), (11, 1), (12, 2)");
    assert_eq!(drained(&feed).await, set(["child 10", "child 11", "child 12"]));
    apply(&parent, delete("1", Condition::Always)).await.unwrap();
    assert_eq!(drained(&feed).await, set(["child 10", "child 11"]), "a cascade");
    let moved = writing(&database, SHARED, "moved").await;
    drop(apply(&moved, put("1", r#"{"v":10}"#)).await);
    assert_eq!(drained(&feed).await, set(["moved 1", "moved 11"]));
    // The planted fault: a writer that does not say who it is.
    let stranger = database.table("parent").await;
    apply(&stranger, put("3", r#"{"v":9}"#)).await.unwrap();
    assert_eq!(drained(&feed).await, set(["parent 3"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_changes_many_rows_writes_one() {
    let schema = "create table big (id int primary key, v int); insert into big select n, 0 from generate_series(1, 100000) n";
    let database = database("outbox_big", schema, &["big"]).await;
    let feed = feed(&database, SHARED).await;
    database.sql("update big set v = 1");
    assert_eq!(database.sql("select count(*) from tl_outbox"), "1");
    assert!(settled(&feed).await.contains("big *"));
    // Many small statements in one transaction are bounded where they are taken.
    database.sql("do $$ begin for n in 1..12000 loop update big set v = 2 where id = n; end loop; end $$");
    assert!(settled(&feed).await.contains("big *"));
    assert_eq!(database.sql("select count(*) from tl_outbox"), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_program_needs_no_right_on_the_outbox() {
    let database = database("outbox_rights", "create table t (id int primary key)", &["t"]).await;
    let feed = feed(&database, SHARED).await;
    database.sql("create role clerk; grant insert on t to clerk; set role clerk; insert into t values (1)");
    assert_eq!(drained(&feed).await, set(["t 1"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partitioned_table_gets_no_outbox() {
    let schema = "create table p (id int primary key) partition by range (id)";
    let database = Database::new("outbox_parts", schema).await;
    let error = install_outbox(config(&database), &["p".to_owned()]).await.unwrap_err();
    assert!(error.to_string().contains("partitioned"), "{error}");
}
