// SPDX-License-Identifier: MIT OR Apache-2.0
//! The outbox: what other programs change is told, once to each consumer, whatever happens in between.

use std::collections::BTreeSet;
use std::sync::Arc;

use throughline_core::{Batch, Condition, Feed, News};
use throughline_sources::OutboxFeed;
use throughline_sources::postgres::{PostgresConfig, PostgresSource, PostgresTable};
use throughline_sources::sql::{Consumer, Table, TableMapping};
use throughline_testkit::TestTasks;

use crate::fixture::{Database, apply, delete, put};

const SHARED: Consumer = Consumer::Shared;

fn process(name: &str) -> Consumer {
    Consumer::Process(name.to_owned())
}

fn config(database: &Database) -> PostgresConfig {
    PostgresConfig::parse_url(&database.url).unwrap()
}

/// A database with the tables of `schema`, of which `fed` have an outbox.
async fn database(name: &'static str, schema: &str, fed: &[&str]) -> Database {
    let database = Database::new(name, schema).await;
    let fed: Vec<String> = fed.iter().map(|name| (*name).to_owned()).collect();
    PostgresSource::install_outbox(config(&database), &fed, Arc::new(TestTasks)).await.unwrap();
    database
}

/// A feed of all fed tables.
async fn feed(database: &Database, consumer: Consumer) -> OutboxFeed {
    let fed = database.source.fed_tables().await.unwrap();
    let tables = database.source.tables().await.unwrap();
    let tables: Vec<&Table> = tables.iter().filter(|table| fed.contains(&table.name)).collect();
    let feed = database.source.feed(&tables, consumer);
    // That it is new is news by itself, and so is the first look at the tables' shapes.
    settled(&feed).await;
    feed
}

/// Writes over connections of `consumer`.
async fn writing(database: &Database, consumer: Consumer, table: &str) -> Arc<PostgresTable> {
    let config = PostgresConfig { consumer: Some(consumer), ..config(database) };
    let source = PostgresSource::connect(config, Arc::new(TestTasks)).await.unwrap();
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

/// Everything that waits until there was nothing for a while.
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
async fn commits_out_of_order_are_all_told_and_a_reader_of_numbers_misses_one() {
    let database = database("outbox_order", "create table t (id int primary key, v int)", &["t"]).await;
    let feed = feed(&database, SHARED).await;
    let slow = database.stranger().await;
    slow.batch_execute("begin; insert into t values (1, 1)").await.unwrap();
    database.sql("insert into t values (2, 2)");
    // The naive reader remembers the last number that it saw.
    let naive = |last: u64| {
        database.sql(&format!("select id::text || ' ' || k from tl_outbox where id > {last} order by id"))
    };
    let seen = naive(0);
    let last: u64 = seen.split(' ').next().unwrap().parse().unwrap();
    assert!(seen.ends_with(" 32"), "{seen}");
    let first = feed.take().await.unwrap();
    assert_eq!(spelled(&first.news), ["t 2"]);
    slow.batch_execute("commit").await.unwrap();
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
    assert_eq!(spelled(&taken.news).len(), 2);
    database.sql("insert into t values (3)");
    let beside = two.take().await.unwrap();
    assert_eq!(spelled(&beside.news), ["t 3"]);
    assert!(!beside.is_all, "what another is taking is not done");
    beside.receipt.confirm().await.unwrap();
    // The one who took them dies.
    drop(taken);
    drop(one);
    let mut told = BTreeSet::new();
    while told.len() < 2 {
        told.extend(drained(&two).await);
    }
    assert_eq!(told, set(["t 1", "t 2"]));
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
    // As if two had been silent for longer than a minute.
    database.sql("delete from tl_consumer where name = 'two'; insert into t values (3)");
    assert_eq!(drained(&one).await, set(["t 3"]));
    assert_eq!(drained(&two).await, set(["t *"]));
    assert_eq!(database.sql("select count(*) from tl_outbox"), "0");
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
async fn a_truncated_and_an_altered_table_are_told_as_a_whole_to_everybody() {
    let schema = "create table t (id int primary key, v int); insert into t values (1, 1)";
    let database = database("outbox_shape", schema, &["t"]).await;
    let (one, two) = (feed(&database, SHARED).await, feed(&database, SHARED).await);
    settled(&one).await;
    for statement in ["truncate t", "alter table t add column w int"] {
        database.sql(statement);
        awaited(&one, "t *").await;
        awaited(&two, "t *").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn triggers_that_are_gone_or_off_are_an_error_and_not_silence() {
    let database = database("outbox_gone", "create table t (id int primary key)", &["t"]).await;
    let feed = feed(&database, SHARED).await;
    database.sql("alter table t disable trigger tl_t_update");
    let error = loop {
        match feed.take().await {
            Ok(_) => feed.wait().await,
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("`t` are gone"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_program_needs_no_right_on_the_outbox() {
    let database = database("outbox_rights", "create table t (id int primary key)", &["t"]).await;
    let feed = feed(&database, SHARED).await;
    database.sql("create role clerk; grant insert on t to clerk; set role clerk; insert into t values (1)");
    assert_eq!(drained(&feed).await, set(["t 1"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn installed_twice_it_is_one_and_removed_nothing_is_left() {
    let schema = "create table t (id int primary key, v int); create table p (id int primary key) partition by range (id)";
    let database = Database::new("outbox_remove", schema).await;
    let dump = || {
        database.sql(
            "select relname, relkind from pg_class c join pg_namespace n on n.oid = relnamespace \
             where nspname = 'public' order by 1; select tgname from pg_trigger where not tgisinternal order by 1; \
             select proname from pg_proc p join pg_namespace n on n.oid = pronamespace where nspname = 'public'",
        )
    };
    let before = dump();
    let (names, tasks) = (["t".to_owned()], || Arc::new(TestTasks));
    let printed = PostgresSource::outbox_statements(config(&database), &names, tasks()).await.unwrap();
    assert_eq!(dump(), before, "printing changes nothing");
    let done = PostgresSource::install_outbox(config(&database), &names, tasks()).await.unwrap();
    assert_eq!(done, printed);
    PostgresSource::install_outbox(config(&database), &names, tasks()).await.unwrap();
    assert_eq!(database.source.fed_tables().await.unwrap(), ["t"]);
    assert!(database.source.tables().await.unwrap().iter().all(|table| !table.name.starts_with("tl_")));
    database.sql("insert into t values (1, 1)");
    PostgresSource::remove_own(config(&database), tasks()).await.unwrap();
    assert_eq!(dump(), before);
    assert_eq!(database.source.fed_tables().await.unwrap(), [""; 0]);
    let names = ["p".to_owned()];
    let error = PostgresSource::install_outbox(config(&database), &names, tasks()).await.unwrap_err();
    assert!(error.to_string().contains("partitioned"), "{error}");
}
