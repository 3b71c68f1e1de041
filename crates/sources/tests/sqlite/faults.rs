// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is broken, locked, late or full is a clear error, and the source lives on.

use std::fs;

use throughline_core::{ErrorKind, Loader, Retry, Writer};
use throughline_sources::sqlite::{SqliteConfig, SqliteSource};

use crate::fixture::{Database, apply, intent, key, put, value};

const TABLE: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); INSERT INTO t VALUES (1, 'x');";
const ROW: &str = r#"{"id":1,"a":"x"}"#;

fn assert_names_the_file_only(error: &throughline_core::Error, folder: &std::path::Path) {
    let text = error.to_string();
    assert!(text.contains("shop.db") && !text.contains(&*folder.to_string_lossy()), "{text}");
}

#[test]
fn a_missing_file_is_unavailable_and_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let error = SqliteSource::open(&SqliteConfig::new(folder.path().join("shop.db"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_names_the_file_only(&error, folder.path());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn what_is_no_database_is_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.db");
    fs::write(&path, "id,first_name,last_name\n".repeat(100)).unwrap();
    let error = SqliteSource::open(&SqliteConfig::new(&path)).unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Corrupt, Retry::Never));
    assert_names_the_file_only(&error, folder.path());
}

#[test]
fn memory_and_a_folder_are_refused() {
    for path in [":memory:", "", "/"] {
        let error = SqliteSource::open(&SqliteConfig::new(path)).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Configuration | ErrorKind::Unavailable), "{path}: {error}");
    }
}

#[tokio::test]
async fn a_damaged_page_is_corrupt_and_other_tables_live_on() {
    let mut schema = "CREATE TABLE big (id INTEGER PRIMARY KEY, a TEXT);".to_owned();
    for id in 1..=2_000 {
        schema.push_str(&format!("INSERT INTO big VALUES ({id}, '{}');", "x".repeat(100)));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.db");
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch(&format!("BEGIN; {schema} COMMIT; {TABLE}")).unwrap();
    drop(other);
    let mut bytes = fs::read(&path).unwrap();
    // Everything but the first page (the schema) and the last one, which holds the small table.
    let page = 4_096;
    let end = bytes.len() - page;
    bytes[page..end].fill(0xa5);
    fs::write(&path, bytes).unwrap();

    let source = SqliteSource::open(&SqliteConfig::new(&path)).unwrap();
    let resource = |name: &str| source.resource(&throughline_sources::sql::TableMapping::json(name)).unwrap();
    let error = resource("big").load(&key("7"), intent(true)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_names_the_file_only(&error, folder.path());
    assert_eq!(value(&resource("t"), "1").await.as_deref(), Some(ROW));
}

#[tokio::test]
async fn a_write_beside_another_program_s_times_out_and_reads_go_on() {
    let database = Database::with(TABLE, |config| config.busy_timeout_ms = 20);
    let table = database.table("t");
    let other = database.other();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = apply(&table, put("1", r#"{"a":"y"}"#)).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Timeout, Retry::Safe));
    assert!(error.detail().contains("`busy_timeout_ms`"), "{error}");
    assert_eq!(value(&table, "1").await.as_deref(), Some(ROW));
    other.execute_batch("COMMIT").unwrap();
    apply(&table, put("1", r#"{"a":"y"}"#)).await.unwrap();
}

#[test]
fn a_file_that_another_program_keeps_for_itself_cannot_be_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.db");
    let other = rusqlite::Connection::open(&path).unwrap();
    other
        .execute_batch(&format!("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; {TABLE} COMMIT;"))
        .unwrap();
    let config = SqliteConfig { busy_timeout_ms: 20, ..SqliteConfig::new(&path) };
    let error = SqliteSource::open(&config).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn a_read_only_source_writes_nothing_at_all() {
    let database = Database::with(TABLE, |config| config.read_only = true);
    let table = database.table("t");
    assert_eq!(value(&table, "1").await.as_deref(), Some(ROW));
    let error = apply(&table, put("1", r#"{"a":"y"}"#)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    let mode: String = database.other().query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "delete", "the file is as it was");
    let names: Vec<_> =
        fs::read_dir(database.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["shop.db"]);
}

#[tokio::test]
async fn a_prepared_write_that_waits_too_long_is_rolled_back() {
    let database = Database::with(TABLE, |config| config.prepared_ms_max = 20);
    let table = database.table("t");
    let slow = table.prepare(&[put("1", r#"{"a":"slow"}"#)]).await.unwrap();
    // The writer begins this one only when it has given the slow one up.
    apply(&table, put("2", "{}")).await.unwrap();
    let error = slow.commit().await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Timeout, Retry::Safe));
    assert_eq!(value(&table, "1").await.as_deref(), Some(ROW));
    let slow = table.prepare(&[put("1", r#"{"a":"slow"}"#)]).await.unwrap();
    apply(&table, put("2", "{}")).await.unwrap();
    slow.roll_back().await.unwrap();
}

#[tokio::test]
async fn writes_beyond_the_queue_are_refused_and_those_given_up_are_not_run() {
    let database = Database::with(TABLE, |config| config.queue_len_max = 2);
    let table = database.table("t");
    let held = table.prepare(&[put("1", r#"{"a":"held"}"#)]).await.unwrap();
    let writes = [put("3", "{}")];
    let mut waiting: Vec<_> = (0..2).map(|_| table.prepare(&writes)).collect();
    for prepare in &mut waiting {
        tokio::select! {
            biased;
            _ = prepare => panic!("the writer is busy"),
            () = std::future::ready(()) => {}
        }
    }
    let error = table.prepare(&writes).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Overloaded, Retry::Safe));
    drop(waiting);
    let before = database.source.stats().transactions;
    held.commit().await.unwrap();
    apply(&table, put("2", "{}")).await.unwrap();
    assert_eq!(value(&table, "3").await, None);
    assert_eq!(database.source.stats().transactions - before, 1);
}

#[tokio::test]
async fn a_constraint_that_is_checked_at_the_commit_rolls_back() {
    let database = Database::new(
        "CREATE TABLE p (id INTEGER PRIMARY KEY);
         CREATE TABLE c (id INTEGER PRIMARY KEY, p INT REFERENCES p DEFERRABLE INITIALLY DEFERRED)",
    );
    let table = database.table("c");
    let prepared = table.prepare(&[put("1", r#"{"p":9}"#)]).await.unwrap();
    let error = prepared.commit().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Constraint);
    let after = table.load(&key("1"), intent(true)).await.unwrap();
    assert_eq!((after.record, after.fillable), (None, true));
}

#[tokio::test]
async fn too_many_keys_at_once_are_refused() {
    let database = Database::new(TABLE);
    let table = database.table("t");
    let error = table.load_many(&vec![key("1"); 1_001], intent(false)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let error = table.prepare(&vec![put("1", "{}"); 257]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(table.load_many(&[], intent(true)).await.unwrap(), []);
}

#[tokio::test]
async fn a_closed_source_says_so() {
    let database = Database::new(TABLE);
    let table = database.table("t");
    database.source.close().await;
    let load = table.load(&key("1"), intent(false)).await.unwrap_err();
    assert_eq!(load.kind(), ErrorKind::Closed);
    let write = table.prepare(&[put("1", "{}")]).await.unwrap_err();
    assert_eq!(write.kind(), ErrorKind::Closed);
}
