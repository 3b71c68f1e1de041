// SPDX-License-Identifier: MIT OR Apache-2.0
//! The outbox: what other programs change is told, once to each consumer, whatever happens in between.

use std::collections::BTreeSet;
use std::sync::Arc;

use mysql_async::prelude::Queryable as _;
use throughline_core::{Batch, Feed, News};
use throughline_sources::OutboxFeed;
use throughline_sources::mysql::{MysqlConfig, MysqlSource, MysqlTable};
use throughline_sources::sql::{Consumer, Table, TableMapping};
use throughline_testkit::TestTasks;

use crate::fixture::{Database, apply, delete, put, server};

const SHARED: Consumer = Consumer::Shared;

fn process(name: &str) -> Consumer {
    Consumer::Process(name.to_owned())
}

fn config(database: &Database) -> MysqlConfig {
    MysqlConfig::parse_url(&database.url).unwrap()
}

/// A database with the tables of `schema`, of which `fed` have an outbox.
async fn database(name: &'static str, schema: &str, fed: &[&str]) -> Database {
    let database = Database::new(name, schema).await;
    let fed: Vec<String> = fed.iter().map(|name| (*name).to_owned()).collect();
    MysqlSource::install_outbox(config(&database), &fed).await.unwrap();
    database
}

/// A feed of all fed tables.
async fn feed(database: &Database, consumer: Consumer) -> OutboxFeed {
    let fed = database.source.fed_tables().await.unwrap();
    let tables = database.source.tables().await.unwrap();
    let tables: Vec<&Table> = tables.iter().filter(|table| fed.contains(&table.name)).collect();
    let feed = database.source.feed(&tables, consumer, &TestTasks);
    // That it is new is news by itself, and so is the first look at the tables' shapes.
    settled(&feed).await;
    feed
}

/// Writes over connections of `consumer`.
async fn writing(database: &Database, consumer: Consumer, table: &str) -> Arc<MysqlTable> {
    let config = MysqlConfig { consumer: Some(consumer), ..config(database) };
    let source = MysqlSource::connect(config, &TestTasks).await.unwrap();
    source.resource(&TableMapping::json(table)).await.unwrap()
}

fn spelled(news: &[News]) -> Vec<String> {
    let spelled = |news: &News| match news {
        News::Row { table, key } => format!("{table} {key}"),
        News::Table { table, .. } => format!("{table} *"),
    };
    news.iter().map(spelled).collect()
}

/// Everything that waits, confirmed.
async fn drained(feed: &OutboxFeed) -> BTreeSet<String> {
    let mut told = BTreeSet::new();
    loop {
        let Batch { news, is_all, receipt, .. } = feed.take().await.unwrap();
        told.extend(spelled(&news));
        receipt.confirm().await.unwrap();
        if is_all && news.is_empty() {
            return told;
        }
    }
}

/// Everything that waits until there was nothing for longer than the catalogue is left alone.
async fn settled(feed: &OutboxFeed) -> BTreeSet<String> {
    let mut told = drained(feed).await;
    for _ in 0..2 {
        feed.wait().await;
        told.extend(drained(feed).await);
    }
    told
}

/// Takes until `wanted` was told.
async fn awaited(feed: &OutboxFeed, wanted: &str) {
    while !drained(feed).await.contains(wanted) {
        feed.wait().await;
    }
}

fn set<const N: usize>(told: [&str; N]) -> BTreeSet<String> {
    told.into_iter().map(str::to_owned).collect()
}

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
async fn commits_out_of_order_are_all_told_and_a_reader_of_numbers_misses_one() {
    let database = database("outbox_order", "create table t (id int primary key, v int)", &["t"]).await;
    let feed = feed(&database, SHARED).await;
    let mut slow = database.stranger().await;
    slow.query_drop("start transaction").await.unwrap();
    slow.query_drop("insert into t values (1, 1)").await.unwrap();
    database.sql("insert into t values (2, 2)");
    // The naive reader remembers the last number that it saw.
    let naive =
        |last: u64| database.sql(&format!("select id, k from tl_outbox where id > {last} order by id"));
    let seen = naive(0);
    let last: u64 = seen.split('\t').next().unwrap().parse().unwrap();
    assert!(seen.ends_with("\t32"), "{seen}");
    let first = feed.take().await.unwrap();
    assert_eq!(spelled(&first.news), ["t 2"]);
    slow.query_drop("commit").await.unwrap();
    assert_eq!(naive(last), "", "a reader of numbers sees the first row although it committed last");
    first.receipt.confirm().await.unwrap();
    assert_eq!(drained(&feed).await, set(["t 1"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_and_not_confirmed_comes_again_and_blocks_nobody() {
    let database = database("outbox_share", "create table t (id int primary key)", &["t"]).await;
    let (one, two) = (feed(&database, SHARED).await, feed(&database, SHARED).await);
    settled(&one).await;
    database.sql("insert into t values (1), (2)");
    let taken = one.take().await.unwrap();
    assert_eq!(spelled(&taken.news), ["t 1", "t 2"]);
    database.sql("insert into t values (3)");
    let beside = two.take().await.unwrap();
    assert_eq!(spelled(&beside.news), ["t 3"]);
    assert!(!beside.is_all, "what another is taking is not done");
    beside.receipt.confirm().await.unwrap();
    let nothing = two.take().await.unwrap();
    assert!(nothing.news.is_empty() && !nothing.is_all);
    // The one who took them dies.
    drop(taken);
    drop(one);
    let mut told = BTreeSet::new();
    while told.len() < 2 {
        told.extend(drained(&two).await);
    }
    assert_eq!(told, set(["t 1", "t 2"]));
    assert!(two.take().await.unwrap().is_all);
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
    apply(&sale, delete("2", throughline_core::Condition::Always)).await.unwrap();
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
async fn each_process_with_its_own_cache_is_told_what_it_did_not_write_itself() {
    let database = database("outbox_each", "create table t (id int primary key, v int)", &["t"]).await;
    let (one, two) = (feed(&database, process("one")).await, feed(&database, process("two")).await);
    settled(&one).await;
    database.sql("insert into t values (1, 1), (2, 2)");
    assert_eq!(drained(&one).await, set(["t 1", "t 2"]));
    assert_eq!(drained(&two).await, set(["t 1", "t 2"]));
    let table = writing(&database, process("one"), "t").await;
    apply(&table, put("1", r#"{"v":5}"#)).await.unwrap();
    assert_eq!(drained(&two).await, set(["t 1"]));
    assert_eq!(drained(&one).await, set([]));
    assert_eq!(database.sql("select count(*) from tl_outbox"), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_was_forgotten_is_told_that_everything_may_have_changed() {
    let database = database("outbox_forgotten", "create table t (id int primary key)", &["t"]).await;
    let (one, two) = (feed(&database, process("one")).await, feed(&database, process("two")).await);
    settled(&one).await;
    // As if two had been silent for longer than a minute.
    database.sql("delete from tl_consumer where name = 'two'; insert into t values (1)");
    assert_eq!(drained(&one).await, set(["t 1"]));
    assert_eq!(drained(&two).await, set(["t *"]));
    database.sql("insert into t values (2)");
    assert_eq!(drained(&one).await, set(["t 2"]));
    assert_eq!(drained(&two).await, set(["t 2"]));
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

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_and_an_altered_table_are_told_as_a_whole_to_everybody() {
    let schema = "create table t (id int primary key auto_increment, v int); insert into t values (1, 1), (2, 2); \
        create table plain (id varchar(9) primary key); insert into plain values ('a')";
    let database = database("outbox_shape", schema, &["t", "plain"]).await;
    let (one, two) = (feed(&database, SHARED).await, feed(&database, SHARED).await);
    // Each must have seen the tables' numbers once.
    settled(&one).await;
    for (statement, told) in
        [("truncate t", "t *"), ("truncate plain", "plain *"), ("alter table t add column w int", "t *")]
    {
        database.sql(statement);
        awaited(&one, told).await;
        awaited(&two, told).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn triggers_that_are_gone_are_an_error_and_not_silence() {
    let database = database("outbox_gone", "create table t (id int primary key)", &["t"]).await;
    let feed = feed(&database, SHARED).await;
    database.sql("drop trigger tl_t_update");
    let error = loop {
        match feed.take().await {
            Ok(_) => feed.wait().await,
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("`t` are gone"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn installed_twice_it_is_one_and_removed_nothing_is_left() {
    let schema = "create table t (id int primary key, v int); create trigger mine after insert on t for each row set @x = 1";
    let database = Database::new("outbox_remove", schema).await;
    let dump = || {
        database.sql(
            "show create table t; show tables; select trigger_name, action_statement from \
            information_schema.triggers where trigger_schema = database()",
        )
    };
    let before = dump();
    let names = ["t".to_owned()];
    let printed = MysqlSource::outbox_statements(config(&database), &names).await.unwrap();
    assert_eq!(dump(), before, "printing changes nothing");
    assert_eq!(MysqlSource::install_outbox(config(&database), &names).await.unwrap(), printed);
    MysqlSource::install_outbox(config(&database), &names).await.unwrap();
    assert_eq!(database.source.fed_tables().await.unwrap(), ["t"]);
    database.sql("insert into t values (1, 1)");
    MysqlSource::remove_own(config(&database)).await.unwrap();
    assert_eq!(dump(), before);
    assert_eq!(database.source.fed_tables().await.unwrap(), [""; 0]);
    assert!(server().execute("select 1").contains('1'));
}
