// SPDX-License-Identifier: MIT OR Apache-2.0
//! Other daemons and other programs at the same file.

use throughline_core::{ErrorKind, Loader, Writer};
use throughline_sources::sqlite::{SqliteConfig, SqliteSource};

use crate::fixture::{Database, apply, intent, key, put, value};

const TABLES: &str =
    "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); CREATE TABLE u (id INTEGER PRIMARY KEY);
    INSERT INTO t VALUES (1, 'x');";

#[tokio::test]
async fn one_source_at_a_time_owns_the_file() {
    let database = Database::new(TABLES);
    let open = || SqliteSource::open(&SqliteConfig::new(database.path())).unwrap();
    assert!(database.source.owned());
    let second = open();
    assert!(!second.owned());
    drop(second);
    let path = database.path();
    let Database { folder, source } = database;
    drop(source);
    assert!(SqliteSource::open(&SqliteConfig::new(path)).unwrap().owned());
    drop(folder);
}

#[tokio::test]
async fn another_program_s_commit_is_noticed_once_and_ours_never() {
    let database = Database::new(TABLES);
    let table = database.table("t");
    assert!(!database.source.changed_behind_our_back().await.unwrap());
    apply(&table, put("1", r#"{"a":"ours"}"#)).await.unwrap();
    assert!(!database.source.changed_behind_our_back().await.unwrap());
    database.other().execute("UPDATE t SET a = 'theirs'", []).unwrap();
    assert!(database.source.changed_behind_our_back().await.unwrap());
    assert!(!database.source.changed_behind_our_back().await.unwrap());
    assert_eq!(value(&table, "1").await.as_deref(), Some(r#"{"id":1,"a":"theirs"}"#));
}

#[tokio::test]
async fn a_change_between_two_of_our_writes_is_noticed() {
    let database = Database::new(TABLES);
    let table = database.table("t");
    apply(&table, put("2", "{}")).await.unwrap();
    database.other().execute("UPDATE t SET a = 'theirs'", []).unwrap();
    apply(&table, put("2", "{}")).await.unwrap();
    assert!(database.source.changed_behind_our_back().await.unwrap());
}

#[tokio::test]
async fn altered_columns_stop_their_table_and_no_other() {
    let database = Database::new(TABLES);
    let (t, u) = (database.table("t"), database.table("u"));
    database.other().execute_batch("CREATE INDEX i ON t (a)").unwrap();
    assert!(database.source.changed_behind_our_back().await.unwrap());
    assert!(value(&t, "1").await.is_some(), "an index changes no column");
    database.other().execute_batch("ALTER TABLE t RENAME COLUMN a TO b").unwrap();
    // Before the poll the statement itself fails: a renamed column is not read as a constant.
    let error = t.load(&key("1"), intent(true)).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Configuration && error.detail().contains("restart"), "{error}");
    assert!(database.source.changed_behind_our_back().await.unwrap());
    let error = t.load(&key("1"), intent(true)).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Configuration && error.detail().contains("`t`"), "{error}");
    assert!(t.prepare(&[put("1", "{}")]).await.is_err());
    apply(&u, put("1", "{}")).await.unwrap();
}

#[tokio::test]
async fn a_snapshot_ends_with_its_batch() {
    let database = Database::new(TABLES);
    let table = database.table("t");
    let keys = [key("1"), key("2")];
    table.load_many(&keys, intent(true)).await.unwrap();
    database.other().execute("INSERT INTO t VALUES (2, 'theirs')", []).unwrap();
    let many = table.load_many(&keys, intent(true)).await.unwrap();
    assert!(many[1].record.is_some());
    // A reader that kept its snapshot would keep the log from being emptied.
    let busy: i64 =
        database.other().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
    assert_eq!(busy, 0);
}
