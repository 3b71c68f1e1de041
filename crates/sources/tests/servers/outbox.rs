// SPDX-License-Identifier: MIT OR Apache-2.0
//! The outbox: what other programs change is told, once to each consumer, whatever happens in between.

use std::collections::BTreeSet;
use std::sync::Arc;

use throughline_core::{Batch, Feed, News};
use throughline_sources::OutboxFeed;
use throughline_sources::sql::{Consumer, Table as Definition, TableMapping};

use crate::fixture::{Database, apply, put};
use crate::server::{
    BREAK_TRIGGER, Config, DUMP, OTHER_TRIGGER, TRUNCATED, Table, connect, feed_of, install_outbox,
    outbox_statements, remove_own,
};

pub(crate) const SHARED: Consumer = Consumer::Shared;

fn process(name: &str) -> Consumer {
    Consumer::Process(name.to_owned())
}

pub(crate) fn config(database: &Database) -> Config {
    Config::parse_url(&database.url).unwrap()
}

/// A database with the tables of `schema`, of which `fed` have an outbox.
pub(crate) async fn database(name: &'static str, schema: &str, fed: &[&str]) -> Database {
    let database = Database::new(name, schema).await;
    let fed: Vec<String> = fed.iter().map(|name| (*name).to_owned()).collect();
    install_outbox(config(&database), &fed).await.unwrap();
    database
}

/// A feed of all fed tables.
pub(crate) async fn feed(database: &Database, consumer: Consumer) -> OutboxFeed {
    let fed = database.source.fed_tables().await.unwrap();
    let tables = database.source.tables().await.unwrap();
    let tables: Vec<&Definition> = tables.iter().filter(|table| fed.contains(&table.name)).collect();
    let feed = feed_of(&database.source, &tables, consumer);
    // That it is new is news by itself, and so is the first look at the tables' shapes.
    settled(&feed).await;
    feed
}

/// Writes over connections of `consumer`.
pub(crate) async fn writing(database: &Database, consumer: Consumer, table: &str) -> Arc<Table> {
    let config = Config { consumer: Some(consumer), ..config(database) };
    let source = connect(config).await.unwrap();
    source.resource(&TableMapping::json(table)).await.unwrap()
}

pub(crate) fn spelled(news: &[News]) -> Vec<String> {
    let spelled = |news: &News| match news {
        News::Row { table, key } => format!("{table} {key}"),
        News::Table { table, .. } => format!("{table} *"),
    };
    news.iter().map(spelled).collect()
}

/// Everything that waits, confirmed.
pub(crate) async fn drained(feed: &OutboxFeed) -> BTreeSet<String> {
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
pub(crate) async fn settled(feed: &OutboxFeed) -> BTreeSet<String> {
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

pub(crate) fn set<const N: usize>(told: [&str; N]) -> BTreeSet<String> {
    told.into_iter().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_out_of_order_are_all_told_and_a_reader_of_numbers_misses_one() {
    let database = database("outbox_order", "create table t (id int primary key, v int)", &["t"]).await;
    let feed = feed(&database, SHARED).await;
    let mut slow = database.stranger().await;
    slow.run("begin").await;
    slow.run("insert into t values (1, 1)").await;
    database.sql("insert into t values (2, 2)");
    // The naive reader remembers the last number that it saw.
    let naive = |last: u64| {
        database.sql(&format!("select concat(id, ' ', k) from tl_outbox where id > {last} order by id"))
    };
    let seen = naive(0);
    let last: u64 = seen.split(' ').next().unwrap().parse().unwrap();
    assert!(seen.ends_with(" 32"), "{seen}");
    let first = feed.take().await.unwrap();
    assert_eq!(spelled(&first.news), ["t 2"]);
    slow.run("commit").await;
    assert_eq!(naive(last), "", "a reader of numbers misses the row that committed last");
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
    assert_eq!(BTreeSet::from_iter(spelled(&taken.news)), set(["t 1", "t 2"]));
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
async fn a_truncated_and_an_altered_table_are_told_as_a_whole_to_everybody() {
    let (schema, tables) = TRUNCATED;
    let database = database("outbox_shape", schema, tables).await;
    let (one, two) = (feed(&database, SHARED).await, feed(&database, SHARED).await);
    // Each must have seen the tables' numbers once.
    settled(&one).await;
    let truncates = tables.iter().map(|table| (format!("truncate {table}"), format!("{table} *")));
    let alters = [("alter table t add column w int".to_owned(), "t *".to_owned())];
    for (statement, told) in truncates.chain(alters) {
        database.sql(&statement);
        awaited(&one, &told).await;
        awaited(&two, &told).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn triggers_that_are_gone_or_off_are_an_error_and_not_silence() {
    let database = database("outbox_gone", "create table t (id int primary key)", &["t"]).await;
    let feed = feed(&database, SHARED).await;
    database.sql(BREAK_TRIGGER);
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
    let schema = format!("create table t (id int primary key, v int); {OTHER_TRIGGER}");
    let database = Database::new("outbox_remove", &schema).await;
    let dump = || database.sql(DUMP);
    let before = dump();
    let names = ["t".to_owned()];
    let printed = outbox_statements(config(&database), &names).await.unwrap();
    assert_eq!(dump(), before, "printing changes nothing");
    assert_eq!(install_outbox(config(&database), &names).await.unwrap(), printed);
    install_outbox(config(&database), &names).await.unwrap();
    assert_eq!(database.source.fed_tables().await.unwrap(), ["t"]);
    assert!(database.source.tables().await.unwrap().iter().all(|table| !table.name.starts_with("tl_")));
    database.sql("insert into t values (1, 1)");
    remove_own(config(&database)).await;
    assert_eq!(dump(), before);
    assert_eq!(database.source.fed_tables().await.unwrap(), [""; 0]);
    assert_eq!(database.sql("select 1"), "1");
}
