// SPDX-License-Identifier: MIT OR Apache-2.0
//! The outbox of a file: what other programs change is told row by row, our own writes are not.

use std::collections::BTreeSet;

use rusqlite::Connection;
use throughline_core::{Batch, Feed, News};
use throughline_sources::sqlite::{
    SqliteConfig, SqliteFeed, SqliteSource, install_outbox, outbox_statements, remove_own,
};

use crate::fixture::{Database, apply, delete, put};

/// A file with the tables of `schema`, of which `fed` have an outbox.
fn database(schema: &str, fed: &[&str]) -> Database {
    let database = Database::new(schema);
    let fed: Vec<String> = fed.iter().map(|name| (*name).to_owned()).collect();
    install_outbox(&SqliteConfig::new(database.path()), &fed).expect("the file takes an outbox");
    database
}

fn spelled(news: &[News]) -> BTreeSet<String> {
    let spelled = |news: &News| match news {
        News::Row { table, key } => format!("{table} {key}"),
        News::Table { table, .. } => format!("{table} *"),
    };
    news.iter().map(spelled).collect()
}

/// Everything that waits, confirmed.
async fn drained(feed: &SqliteFeed) -> BTreeSet<String> {
    let mut told = BTreeSet::new();
    loop {
        let Batch { news, is_all, receipt, .. } = feed.take().await.expect("a healthy file tells");
        told.extend(spelled(&news));
        receipt.confirm().await.expect("a healthy file takes a receipt");
        if is_all {
            return told;
        }
    }
}

fn set<const N: usize>(told: [&str; N]) -> BTreeSet<String> {
    told.into_iter().map(str::to_owned).collect()
}

const TABLES: &str =
    "CREATE TABLE n (id INTEGER PRIMARY KEY, v); CREATE TABLE plain (id INTEGER PRIMARY KEY);
    CREATE TABLE pair (a TEXT, b BLOB, PRIMARY KEY (a, b)) WITHOUT ROWID;
    CREATE TABLE ci (id TEXT PRIMARY KEY COLLATE NOCASE); CREATE TABLE r (id REAL PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE child (id INTEGER PRIMARY KEY, n REFERENCES n ON DELETE CASCADE);";
const FED: [&str; 5] = ["n", "pair", "ci", "r", "child"];

#[tokio::test]
async fn another_program_s_changes_are_told_row_by_row_where_there_are_triggers() {
    let database = database(TABLES, &FED);
    let feed = database.source.feed();
    // That triggers came is a change of every table.
    assert_eq!(drained(&feed).await.len(), 6);
    let other = database.other();
    other
        .execute_batch(
            "PRAGMA foreign_keys = ON; INSERT INTO n VALUES (-5, 1), (6, 1); INSERT INTO child VALUES (1, 6)",
        )
        .unwrap();
    assert_eq!(drained(&feed).await, set(["n -5", "n 6", "child 1", "plain *"]));
    other.execute_batch("UPDATE n SET id = 7 WHERE id = -5; DELETE FROM n WHERE id = 6").unwrap();
    assert_eq!(drained(&feed).await, set(["n -5", "n 7", "n 6", "child 1", "plain *"]));
    other.execute_batch("INSERT INTO pair VALUES ('a:b% ü', x'00ff'), ('', x'')").unwrap();
    assert_eq!(drained(&feed).await, set(["pair a%3Ab%25%20ü:%00%FF", "pair :", "plain *"]));
    other.execute_batch("INSERT INTO ci VALUES ('Bob'); UPDATE ci SET id = 'BOB'").unwrap();
    assert_eq!(drained(&feed).await, set(["ci Bob", "ci BOB", "plain *"]));
    other.execute_batch("INSERT INTO r VALUES (0.1)").unwrap();
    assert_eq!(drained(&feed).await, set(["r *", "plain *"]));
    assert_eq!(drained(&feed).await, set([]));
}

#[tokio::test]
async fn news_that_were_not_confirmed_come_again_even_after_a_restart() {
    let database = database(TABLES, &FED);
    let feed = database.source.feed();
    drained(&feed).await;
    database.other().execute_batch("INSERT INTO n VALUES (1, 1)").unwrap();
    drop(feed.take().await.unwrap());
    assert!(spelled(&feed.take().await.unwrap().news).contains("n 1"));
    drop(feed);
    let (path, Database { folder, source }) = (database.path(), database);
    source.close().await;
    drop(source);
    let source = SqliteSource::open(&SqliteConfig::new(path)).unwrap();
    assert_eq!(drained(&source.feed()).await, set(["n 1"]));
    assert_eq!(drained(&source.feed()).await, set([]));
    drop(folder);
}

#[tokio::test]
async fn our_own_writes_are_not_told_unless_they_changed_another_row() {
    let schema = "CREATE TABLE sale (id INTEGER PRIMARY KEY, product); CREATE TABLE stock (id INTEGER PRIMARY KEY, n);
        INSERT INTO stock VALUES (7, 10);
        CREATE TRIGGER taken AFTER INSERT ON sale BEGIN UPDATE stock SET n = n - 1 WHERE id = NEW.product; END;
        CREATE TABLE tree (id INTEGER PRIMARY KEY, up); INSERT INTO tree VALUES (1, NULL), (2, 1);
        CREATE TRIGGER felled AFTER DELETE ON tree BEGIN DELETE FROM tree WHERE up = OLD.id; END;";
    let database = database(schema, &["sale", "stock", "tree"]);
    let feed = database.source.feed();
    drained(&feed).await;
    let (sale, tree) = (database.table("sale"), database.table("tree"));
    apply(&sale, put("1", r#"{"product":8}"#)).await.unwrap();
    apply(&sale, put("1", r#"{"product":9}"#)).await.unwrap();
    assert_eq!(drained(&feed).await, set([]));
    apply(&sale, put("2", r#"{"product":7}"#)).await.unwrap();
    assert_eq!(drained(&feed).await, set(["stock 7"]));
    apply(&sale, delete("2")).await.unwrap();
    assert_eq!(drained(&feed).await, set([]));
    apply(&tree, delete("1")).await.unwrap();
    assert_eq!(drained(&feed).await, set(["tree 2"]));
}

#[tokio::test]
async fn a_write_that_is_rolled_back_takes_nobody_s_news_away() {
    let database = database(TABLES, &FED);
    let feed = database.source.feed();
    drained(&feed).await;
    database.other().execute_batch("INSERT INTO n VALUES (1, 1)").unwrap();
    let table = database.table("n");
    let prepared = throughline_core::Writer::prepare(&*table, &[put("1", r#"{"v":2}"#)]).await.unwrap();
    prepared.roll_back().await.unwrap();
    apply(&table, put("1", r#"{"v":3}"#)).await.unwrap();
    assert_eq!(drained(&feed).await, set(["n 1", "plain *"]));
}

#[tokio::test]
async fn more_rows_than_can_be_named_are_told_as_their_table() {
    let database = database(TABLES, &FED);
    let feed = database.source.feed();
    drained(&feed).await;
    let many = "WITH RECURSIVE s (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 20000) \
        INSERT INTO n SELECT i, 0 FROM s";
    database.other().execute_batch(many).unwrap();
    let batch = feed.take().await.unwrap();
    assert_eq!(spelled(&batch.news), set(["n *", "plain *"]));
    batch.receipt.confirm().await.unwrap();
    assert_eq!(drained(&feed).await, set([]));
    // Below that bound they are named, a batch at a time.
    database.other().execute_batch("UPDATE n SET v = 1 WHERE id <= 2500").unwrap();
    assert_eq!(drained(&feed).await.len(), 2_501);
}

#[tokio::test]
async fn a_table_whose_rows_a_replace_could_remove_unseen_is_refused() {
    let database = Database::new("CREATE TABLE t (id INTEGER PRIMARY KEY, mail TEXT UNIQUE)");
    let config = SqliteConfig::new(database.path());
    let error = install_outbox(&config, &["t".to_owned()]).unwrap_err();
    assert!(error.to_string().contains("unique index"), "{error}");
    let error = outbox_statements(&config, &["none".to_owned()]).unwrap_err();
    assert!(error.to_string().contains("there is no such table"), "{error}");
}

#[tokio::test]
async fn installed_twice_it_is_one_and_removed_nothing_is_left() {
    let database = Database::new(TABLES);
    let config = SqliteConfig::new(database.path());
    let dump = |connection: &Connection| {
        let mut statement =
            connection.prepare("SELECT type, name, sql FROM sqlite_schema ORDER BY name").unwrap();
        let rows = statement
            .query_map([], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, Option<String>>(2)?))
            })
            .unwrap();
        rows.collect::<rusqlite::Result<Vec<_>>>().unwrap()
    };
    let (other, names) = (database.other(), ["n".to_owned()]);
    let before = dump(&other);
    let printed = outbox_statements(&config, &names).unwrap();
    assert_eq!(dump(&other), before, "printing changes nothing");
    assert_eq!(install_outbox(&config, &names).unwrap(), printed);
    let installed = dump(&other);
    install_outbox(&config, &names).unwrap();
    assert_eq!(dump(&other), installed);
    // A running source notices by itself.
    drained(&database.source.feed()).await;
    assert_eq!(database.source.fed_tables().await.unwrap(), ["n"]);
    remove_own(&config).unwrap();
    assert_eq!(dump(&other), before);
    drained(&database.source.feed()).await;
    assert_eq!(database.source.fed_tables().await.unwrap(), [""; 0]);
    apply(&database.table("n"), put("1", r#"{"v":1}"#)).await.unwrap();
}
