// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tables of every sort, as the catalogue shows them.

use rusqlite::Connection;

use super::{Kind, Table, default_expression, read};

fn tables(schema: &str) -> Vec<Table> {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(schema).unwrap();
    read(&connection).unwrap()
}

fn table(schema: &str) -> Table {
    tables(schema).remove(0)
}

#[test]
fn kinds_follow_the_declared_types() {
    let table = table(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a VARCHAR(9), b TEXT COLLATE NOCASE, c BLOB, d DOUBLE, e DECIMAL(9,2),
                         f BOOLEAN, g JSON, h DATETIME, i, j BIGINT UNSIGNED)",
    );
    let kinds: Vec<Kind> = table.columns.iter().map(|column| column.kind.clone()).collect();
    let integer = Kind::Integer { bits: 64, unsigned: false };
    let expected = [
        integer.clone(),
        Kind::Text { exact: true },
        Kind::Text { exact: false },
        Kind::Bytes { fixed: None },
        Kind::Float { bits: 64 },
        Kind::Decimal,
        Kind::Bool,
        Kind::Json,
        Kind::Any,
        Kind::Any,
        integer,
    ];
    assert_eq!(kinds, expected);
    assert!(table.columns[1].loose && table.columns[1].nullable);
    assert_eq!(table.unservable, None);
}

#[test]
fn only_the_row_s_own_number_is_made_by_the_database() {
    let numbered = |schema| table(schema).columns[0].auto_increment;
    assert!(numbered("CREATE TABLE t (id INTEGER PRIMARY KEY)"));
    assert!(numbered("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT)"));
    assert!(!numbered("CREATE TABLE t (id INT PRIMARY KEY)"));
    assert!(!numbered("CREATE TABLE t (id INTEGER PRIMARY KEY) WITHOUT ROWID"));
    assert!(!numbered("CREATE TABLE t (id INTEGER PRIMARY KEY DESC)"));
}

#[test]
fn a_composite_key_keeps_its_own_order() {
    let table = table("CREATE TABLE t (a INT, b TEXT, c INT, PRIMARY KEY (c, b)) WITHOUT ROWID");
    assert_eq!(table.primary_key, [2, 1]);
    assert!(!table.has_other_unique);
}

#[test]
fn strict_and_generated_columns_and_other_unique_indexes_are_seen() {
    let table = table(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a INT UNIQUE, b INT AS (a + 1) STORED, c TEXT, d ANY,
                         e INT NOT NULL DEFAULT 7) STRICT",
    );
    let loose: Vec<bool> = table.columns.iter().map(|column| column.loose).collect();
    assert_eq!(loose, [false, false, false, true, true, false]);
    assert!(table.columns[2].generated && table.has_other_unique);
    assert_eq!(table.columns[5].default.as_deref(), Some("7"));
    assert!(!table.columns[5].nullable);
}

#[test]
fn what_cannot_be_a_resource_says_why() {
    for (schema, why) in [
        ("CREATE TABLE t (a INT)", "no primary key"),
        ("CREATE TABLE t (a PRIMARY KEY)", "has no type"),
        ("CREATE TABLE t (a ANY PRIMARY KEY) STRICT", "has no type"),
        ("CREATE VIEW t AS SELECT 1 AS a", "a view"),
        (
            "CREATE TABLE t (a TEXT COLLATE NOCASE, PRIMARY KEY (a COLLATE BINARY))",
            "otherwise than the column",
        ),
    ] {
        let reason = table(schema).unservable.unwrap_or_default();
        assert!(reason.contains(why), "{schema}: {reason}");
    }
}

#[test]
fn our_own_and_internal_tables_are_left_out() {
    let names: Vec<String> = tables(
        "CREATE TABLE tl_lock (id INTEGER PRIMARY KEY); CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT)",
    )
    .into_iter()
    .map(|table| table.name)
    .collect();
    assert_eq!(names, ["a"]);
}

#[test]
fn a_trigger_s_body_begins_behind_its_head() {
    let table = table(
        "CREATE TABLE begin_log (id INTEGER PRIMARY KEY);
         CREATE TRIGGER g AFTER UPDATE ON begin_log BEGIN SELECT 1; END",
    );
    assert_eq!(table.triggers[0].body.trim(), "SELECT 1; END");
}

#[test]
fn a_default_that_is_a_word_is_a_string() {
    for (text, expected) in [
        ("new", "'new'"),
        ("\"it's\"", "'it''s'"),
        ("'a'", "'a'"),
        ("-1", "-1"),
        ("CURRENT_TIMESTAMP", "CURRENT_TIMESTAMP"),
        ("true", "true"),
        ("lower(hex(randomblob(16)))", "lower(hex(randomblob(16)))"),
        ("\"a\" || \"b\"", "\"a\" || \"b\""),
    ] {
        assert_eq!(default_expression(text), expected);
    }
}
