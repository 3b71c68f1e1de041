// SPDX-License-Identifier: MIT OR Apache-2.0
//! Drains over a real server: a connection that is cut around the COMMIT, a server that dies, what a batch costs, and
//! what statements for several rows must not change.

use std::sync::Arc;

use throughline_core::{Applied, Condition, Drain, Drained, ErrorKind, Retry, Write};
use throughline_sources::sql::TableMapping;
use throughline_testkit::Proxy;
use throughline_testkit::contract::drain::{Line, lane, owner, watermark};

use crate::fixture::{Database, config_of, delete, put, put_if, value};
use crate::server::{
    COMMIT, COMPOSITE_KEY, OTHER_TRIGGER, Source, Table, connect, install, joined, write_round_trips,
};
use crate::servers::faults::start;
use crate::servers::outbox::{SHARED, config, drained, feed, set, writing};

/// A table of whole numbers, texts, and how often each row was written.
const COUNTED: &str = "create table t (id int primary key, v varchar(100), n bigint not null default 0)";

/// `t` as a resource whose column `n` counts the writes of each row.
async fn counted(source: &Source) -> Arc<Table> {
    let mapping = TableMapping { version_column: Some("n".to_owned()), ..TableMapping::json("t") };
    source.resource(&mapping).await.unwrap()
}

/// Puts of `text` to the rows 1 to `count`.
fn puts(text: &str, count: usize) -> Vec<Write> {
    (1..=count).map(|id| put(&id.to_string(), &format!("{{\"id\":{id},\"v\":\"{text}\"}}"))).collect()
}

/// A database with the tables of `schema`, and ours.
async fn database(name: &'static str, schema: &str) -> Database {
    let database = Database::new(name, schema).await;
    install(config(&database)).await;
    database
}

async fn drain_of(database: &Database, table: &str) -> Arc<dyn Drain> {
    database.table(table).await.drain().await.unwrap()
}

#[tokio::test]
async fn without_our_table_the_remedy_is_told() {
    let (database, table) = Database::with_rows("drain_missing", 1).await;
    let error = table.drain().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.detail().contains("throughline init"), "{error}");
    install(config(&database)).await;
    let drain = table.drain().await.unwrap();
    let line = Line::claim(&drain, 1, "a").await;
    // Nobody's write is to blame when it is dropped meanwhile.
    database.sql("drop table tl_applied");
    let refused = line.give(&puts("x", 2)).await.unwrap_err();
    assert_eq!((refused.at, refused.error.retry()), (None, Retry::Safe), "{refused:?}");
    let error = drain.claim(&[lane(1)], &owner("a"), false).await.unwrap_err();
    assert!(error.detail().contains("throughline init"), "{error}");
}

#[tokio::test]
async fn a_commit_that_is_not_answered_is_given_again_and_applied_once() {
    let database = database("drain_cut", COUNTED).await;
    let direct = config_of(&database.url);
    let proxy = Proxy::start(format!("{}:{}", direct.host, direct.port).parse().unwrap());
    let mut config = direct;
    config.port = proxy.address().port();
    let source = connect(config).await.unwrap();
    let drain = counted(&source).await.drain().await.unwrap();
    let mut line = Line::claim(&drain, 1, "a").await;
    for (count, arrives) in [(1, true), (40, true), (1, false), (40, false)] {
        match arrives {
            true => proxy.cut_after(COMMIT),
            false => proxy.cut_before(COMMIT),
        }
        let unknown = line.give(&puts("new", count)).await.unwrap_err();
        assert!(!proxy.is_armed());
        assert_eq!((unknown.at, unknown.error.kind()), (None, ErrorKind::OutcomeUnknown), "{unknown:?}");
        // The server may still be busy with the one whose answer was lost.
        let again = line.give(&puts("new", count)).await.unwrap();
        line.at.position.0 += count as u64;
        match arrives {
            true => assert_eq!(again, Drained::Already(line.at)),
            false => assert_eq!(again, Drained::Done(vec![Applied::Changed; count])),
        }
    }
    let counts = database.sql(&format!("select {} from t where id < 4", joined("n", "id")));
    assert_eq!(counts, "4,2,2", "each write was applied once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_in_the_middle_loses_and_repeats_nothing() {
    let (server, source, _) = start(|_| ()).await;
    server.execute("drop table t");
    server.execute(COUNTED);
    source.tables().await.unwrap();
    install(config_of(&server.url())).await;
    let drain = counted(&source).await.drain().await.unwrap();
    let mut line = Line::claim(&drain, 1, "a").await;
    let mut batches = 0;
    // After the first statement of the batch, after the second, ….
    for round in 1..=4 {
        let (batch, before) = (puts("new", 300), write_round_trips(&source));
        let (answer, ()) = tokio::join!(line.give(&batch), async {
            while write_round_trips(&source) < before + round {
                tokio::task::yield_now().await;
            }
            server.kill();
        });
        if let Err(refused) = &answer {
            assert_ne!(refused.error.retry(), Retry::Never, "{refused:?}");
        }
        server.restart();
        let drained = loop {
            match line.give(&batch).await {
                Ok(drained) => break drained,
                Err(refused) => assert_ne!(refused.error.retry(), Retry::Never, "{refused:?}"),
            }
        };
        assert!(matches!(drained, Drained::Done(_) | Drained::Already(_)), "{drained:?}");
        line.at.position.0 += 300;
        batches += 1;
    }
    let counts = server.execute("select min(n), max(n), count(*) from t");
    assert_eq!(
        counts.split_whitespace().collect::<Vec<_>>(),
        [batches.to_string(), batches.to_string(), "300".into()]
    );
}

#[tokio::test]
async fn a_full_batch_costs_few_round_trips() {
    let database = database("drain_cost", "create table t (id int primary key, v varchar(100))").await;
    let drain = drain_of(&database, "t").await;
    let mut line = Line::claim(&drain, 1, "a").await;
    let mut costs = Vec::new();
    for text in ["new", "newer"] {
        let before = write_round_trips(&database.source);
        assert_eq!(line.apply(&puts(text, 500)).await, [Applied::Exact; 500]);
        costs.push(write_round_trips(&database.source) - before);
    }
    let deletes: Vec<Write> = (1..=500).map(|id| delete(&id.to_string(), Condition::Always)).collect();
    let before = write_round_trips(&database.source);
    line.apply(&deletes).await;
    costs.push(write_round_trips(&database.source) - before);
    assert!(costs.iter().all(|cost| *cost <= 10), "{costs:?}");
    assert_eq!(database.sql("select count(*) from t"), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_drain_writes_is_not_told_as_news() {
    let database = crate::servers::outbox::database(
        "drain_outbox",
        "create table t (id int primary key, v int)",
        &["t"],
    )
    .await;
    install(config(&database)).await;
    let feed = feed(&database, SHARED).await;
    let drain = writing(&database, SHARED, "t").await.drain().await.unwrap();
    let mut line = Line::claim(&drain, 1, "a").await;
    let values = |number: u32| -> Vec<Write> {
        (1..=3).map(|id| put(&id.to_string(), &format!("{{\"v\":{number}}}"))).collect()
    };
    // New rows, rows that are there, one by one, and gone.
    for batch in [values(1), values(2), values(3)[..1].to_vec(), vec![delete("2", Condition::Always); 1]] {
        line.apply(&batch).await;
    }
    database.sql("update t set v = 9 where id = 3");
    assert_eq!(drained(&feed).await, set(["t 3"]));
}

#[tokio::test]
async fn a_held_row_costs_a_time_out_and_nothing_is_changed() {
    let database =
        Database::with_config("drain_held", COUNTED, |config| config.statement_timeout_ms = 1_000).await;
    install(config(&database)).await;
    let drain = counted(&database.source).await.drain().await.unwrap();
    let mut line = Line::claim(&drain, 1, "a").await;
    line.apply(&puts("old", 3)).await;
    let mut stranger = database.stranger().await;
    stranger.run("begin").await;
    stranger.run("update t set v = 'theirs' where id = 2").await;
    let refused = line.give(&puts("new", 3)).await.unwrap_err();
    assert_eq!(
        (refused.at, refused.error.kind(), refused.error.retry()),
        (None, ErrorKind::Timeout, Retry::Safe)
    );
    assert_eq!(database.sql(&format!("select {} from t", joined("v", "id"))), "old,old,old");
    stranger.run("rollback").await;
    line.apply(&puts("new", 3)).await;
    assert_eq!(database.sql(&format!("select {} from t", joined("n", "id"))), "2,2,2");
}

#[tokio::test]
async fn a_trigger_runs_for_each_row_as_if_it_were_written_alone() {
    let schema = format!("create table t (id int primary key, v varchar(100)); {OTHER_TRIGGER}");
    let database = database("drain_trigger", &schema).await;
    let drain = drain_of(&database, "t").await;
    let mut line = Line::claim(&drain, 1, "a").await;
    let before = write_round_trips(&database.source);
    line.apply(&puts("new", 20)).await;
    assert!(write_round_trips(&database.source) - before >= 20, "row by row");
    assert_eq!(database.sql("select count(*) from t where v = 'new'"), "20");
}

#[tokio::test]
async fn a_column_that_is_not_shown_keeps_its_value() {
    let schema = "create table t (id int primary key, v varchar(100), secret varchar(9) not null); \
                  insert into t values (1, 'old', 'one'), (2, 'old', 'two')";
    let database = database("drain_unshown", schema).await;
    let columns = Some(vec!["id".to_owned(), "v".to_owned()]);
    let mapping = TableMapping { columns, ..TableMapping::json("t") };
    let table = database.source.resource(&mapping).await.unwrap();
    let mut line = Line::claim(&table.drain().await.unwrap(), 1, "a").await;
    assert_eq!(line.apply(&puts("new", 2)).await, [Applied::Exact; 2]);
    assert_eq!(database.sql(&format!("select {} from t", joined("secret", "id"))), "one,two");
    let refused = line.give(&puts("newer", 3)).await.unwrap_err();
    assert_eq!((refused.at, refused.error.kind()), (Some(2), ErrorKind::InvalidValue), "{refused:?}");
}

#[tokio::test]
async fn a_key_of_several_columns_and_of_bytes_is_found() {
    let (schema, first) = COMPOSITE_KEY;
    let database = database("drain_composite", schema).await;
    let table = database.table("c").await;
    let mut line = Line::claim(&table.drain().await.unwrap(), 1, "a").await;
    let batch = [put(first, "{\"v\":\"b\"}"), put("a:1", "{\"v\":\"b\"}"), put("%FF:2", "{\"v\":null}")];
    line.apply(&batch).await;
    for key in [first, "a:1"] {
        assert!(value(&table, key).await.unwrap().contains("\"v\":\"b\""));
    }
    assert!(value(&table, "%FF:2").await.unwrap().contains("\"v\":null"));
    let gone = |key: &str| delete(key, Condition::Always);
    line.apply(&[gone(first), gone("%FF:2"), gone("z:9")]).await;
    assert_eq!(database.sql("select count(*) from c"), "1");
}

#[tokio::test]
async fn conditions_between_others_are_decided_in_their_order() {
    let database = database("drain_conditions", COUNTED).await;
    let drain = counted(&database.source).await.drain().await.unwrap();
    let mut line = Line::claim(&drain, 1, "a").await;
    let mut batch = puts("a", 50);
    batch.push(put_if("51", "{\"v\":\"b\"}", Condition::Absent));
    batch.extend(puts("c", 50));
    batch.push(put_if("51", "{\"v\":\"b\"}", Condition::Absent));
    let refused = line.give(&batch).await.unwrap_err();
    assert_eq!((refused.at, refused.error.kind()), (Some(101), ErrorKind::Constraint));
    batch.pop();
    line.apply(&batch).await;
    let counts = database.sql("select min(n), max(n) from t where id <= 50");
    assert_eq!(counts.split_whitespace().collect::<Vec<_>>(), ["2", "2"]);
    assert_eq!(line.at, watermark(1, 101));
}
