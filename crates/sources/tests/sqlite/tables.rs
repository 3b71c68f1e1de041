// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tables of every sort as resources.

use throughline_core::{Condition, Effect, ErrorKind, Loader, Refusal, Version, Write};
use throughline_sources::sql::{Format, TableMapping};

use crate::fixture::{Database, apply, create, delete, intent, key, load, put, stored, text, value};

#[tokio::test]
async fn a_composite_key_joins_its_parts_in_the_key_s_order() {
    let database = Database::new(
        "CREATE TABLE line (note TEXT, item TEXT, number INT, PRIMARY KEY (number, item)) WITHOUT ROWID",
    );
    let table = database.table("line");
    let (at, record, created) = stored(apply(&table, put("07:a%3Ab", r#"{"note":"x"}"#)).await.unwrap());
    assert_eq!((at.as_str(), created), ("7:a%3Ab", true));
    assert_eq!(text(&record), r#"{"note":"x","item":"a:b","number":7}"#);
    apply(&table, put("8:c", "{}")).await.unwrap();
    let keys = ["8:c", "7:c", "7:a%3Ab"].map(key);
    let found = table.load_many(&keys, intent(true)).await.unwrap();
    let present: Vec<bool> = found.iter().map(|loaded| loaded.record.is_some()).collect();
    assert_eq!(present, [true, false, true]);
    assert!(found.iter().all(|loaded| loaded.fillable));
    assert_eq!(table.canonical(&key("7")).unwrap_err().kind(), ErrorKind::InvalidKey);
}

#[tokio::test]
async fn only_the_stored_spelling_of_a_key_without_case_is_filled() {
    let database = Database::new("CREATE TABLE user (name TEXT COLLATE NOCASE PRIMARY KEY, n INT)");
    let table = database.table("user");
    apply(&table, put("Bob", r#"{"n":1}"#)).await.unwrap();
    assert!(load(&table, "Bob").await.fillable);
    let other = load(&table, "BOB").await;
    assert_eq!(other.record.map(|record| text(&record)).as_deref(), Some(r#"{"name":"Bob","n":1}"#));
    assert!(!other.fillable);
    assert!(!load(&table, "Eve").await.fillable, "another spelling of an insert could not void it");
    let many = table.load_many(&["BOB", "Bob", "Eve"].map(key), intent(true)).await.unwrap();
    let seen: Vec<(bool, bool)> =
        many.iter().map(|loaded| (loaded.record.is_some(), loaded.fillable)).collect();
    assert_eq!(seen, [(true, false), (true, true), (false, false)]);
}

#[tokio::test]
async fn a_write_by_another_spelling_keeps_the_stored_key_and_holds_it() {
    let database = Database::new("CREATE TABLE user (name TEXT COLLATE NOCASE PRIMARY KEY, n INT)");
    let table = database.table("user");
    apply(&table, put("Bob", r#"{"n":1}"#)).await.unwrap();
    for body in [r#"{"n":2}"#, r#"{"name":"BOB","n":2}"#, r#"{"name":"Bob","n":2}"#] {
        let (at, _, created) = stored(apply(&table, put("BOB", body)).await.unwrap());
        assert_eq!((at.as_str(), created), ("Bob", false), "{body}");
    }
    let error = apply(&table, put("BOB", r#"{"name":"Eve","n":2}"#)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidValue);
    assert!(error.detail().contains("`name` differs from the key"), "{error}");
    let prepared = throughline_core::Writer::prepare(&*table, &[delete("bOB")]).await.unwrap();
    assert_eq!(prepared.effects(), [Effect::Deleted { key: key("Bob") }]);
    assert!(!load(&table, "Bob").await.fillable);
    prepared.roll_back().await.unwrap();
    assert!(load(&table, "Bob").await.fillable);
}

#[tokio::test]
async fn a_new_text_or_blob_key_is_made_here_unless_the_value_or_a_default_has_one() {
    let database = Database::new(
        "CREATE TABLE t (id TEXT PRIMARY KEY, n INT); CREATE TABLE b (id BLOB PRIMARY KEY, n INT);
         CREATE TABLE d (id TEXT PRIMARY KEY DEFAULT (lower(hex('made'))), n INT);
         CREATE TABLE i (id INT PRIMARY KEY, n INT)",
    );
    let t = database.table("t");
    let (first, _, created) = stored(apply(&t, create(r#"{"n":1}"#)).await.unwrap());
    let (second, ..) = stored(apply(&t, create(r#"{"n":2}"#)).await.unwrap());
    assert!(created && first < second, "UUIDv7 follow each other in time: {first}, {second}");
    assert_eq!((first.len(), first.as_bytes()[14]), (36, b'7'));
    assert_eq!(value(&t, &first).await, Some(format!(r#"{{"id":"{first}","n":1}}"#)));
    assert_eq!(stored(apply(&t, create(r#"{"id":"x"}"#)).await.unwrap()).0, "x");

    let (blob, ..) = stored(apply(&database.table("b"), create("{}")).await.unwrap());
    assert_eq!(key(&blob).parts().next().unwrap().len(), 16);
    assert_eq!(stored(apply(&database.table("d"), create("{}")).await.unwrap()).0, "6d616465");
    let error = apply(&database.table("i"), create("{}")).await.unwrap_err();
    assert!(error.kind() == ErrorKind::InvalidValue && error.detail().contains("`id` is missing"), "{error}");
}

#[tokio::test]
async fn a_generated_column_may_be_given_as_it_is_and_not_otherwise() {
    let database = Database::new(
        "CREATE TABLE line (id INTEGER PRIMARY KEY, price INT, count INT, total INT AS (price * count) STORED,
                            half REAL AS (price / 2.0))",
    );
    let table = database.table("line");
    let row = r#"{"id":1,"price":3,"count":2,"total":6,"half":1.5}"#;
    let (_, record, _) = stored(apply(&table, put("1", row)).await.unwrap());
    assert_eq!(text(&record), row);
    apply(&table, put("1", row)).await.unwrap();
    let error = apply(&table, put("1", r#"{"price":3,"count":3,"total":6}"#)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidValue);
    assert!(error.detail().contains("`total` is computed"), "{error}");
    assert_eq!(value(&table, "1").await.as_deref(), Some(row));
}

#[tokio::test]
async fn a_replaced_row_gets_its_defaults_again() {
    let database = Database::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT DEFAULT 'it''s', b TEXT DEFAULT b, c INT NOT NULL DEFAULT (1 + 2),
                         d TEXT DEFAULT \"a\", e INT)",
    );
    let table = database.table("t");
    let full = r#"{"id":1,"a":"x","b":"x","c":9,"d":"x","e":9}"#;
    let expected = r#"{"id":1,"a":"it's","b":"b","c":3,"d":"a","e":null}"#;
    assert_eq!(text(&stored(apply(&table, put("1", "{}")).await.unwrap()).1), expected);
    assert_eq!(text(&stored(apply(&table, put("1", full)).await.unwrap()).1), full);
    assert_eq!(text(&stored(apply(&table, put("1", "{}")).await.unwrap()).1), expected);
}

#[tokio::test]
async fn a_version_column_counts_writes_and_decides() {
    let database = Database::new("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, v INT)");
    let table =
        database.mapped(&TableMapping { version_column: Some("v".into()), ..TableMapping::json("t") });
    let write = |body: &str, version| Write {
        condition: Condition::Unchanged(vec![Version(version)]),
        ..put("1", body)
    };
    assert_eq!(stored(apply(&table, put("1", r#"{"a":"A"}"#)).await.unwrap()).1.version, Version(1));
    let (_, record, _) = stored(apply(&table, write(r#"{"a":"B","v":77}"#, 1)).await.unwrap());
    assert_eq!((record.version, text(&record).as_str()), (Version(2), r#"{"id":1,"a":"B","v":2}"#));
    stored(apply(&table, write(r#"{"a":"A"}"#, 2)).await.unwrap());
    let conflict = Effect::Refused(Refusal::Conflict(Version(3)));
    assert_eq!(apply(&table, write(r#"{"a":"C"}"#, 1)).await.unwrap(), conflict, "A to B to A is seen");
}

#[tokio::test]
async fn a_raw_record_is_the_bytes_of_a_column_with_its_flags() {
    let database =
        Database::new("CREATE TABLE kv (k TEXT PRIMARY KEY, body BLOB, flags INT, note TEXT DEFAULT 'n')");
    let table = database.mapped(&TableMapping {
        format: Format::Raw { value_column: "body".into(), flags_column: Some("flags".into()) },
        ..TableMapping::json("kv")
    });
    let mut write = put("a", "");
    let raw = bytes::Bytes::from_static(&[0, 0xff, b'\r', b'\n']);
    write.change = throughline_core::Change::Put { value: raw.clone(), flags: u32::MAX };
    let (_, record, _) = stored(apply(&table, write).await.unwrap());
    assert_eq!((record.value, record.flags), (raw, u32::MAX));
    database.other().execute("UPDATE kv SET note = 'kept'", []).unwrap();
    apply(&table, put("a", "x")).await.unwrap();
    let note: String = database.other().query_row("SELECT note FROM kv", [], |row| row.get(0)).unwrap();
    assert_eq!(note, "kept");
}

#[tokio::test]
async fn columns_that_are_not_listed_are_neither_shown_nor_touched() {
    let database =
        Database::new("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, secret TEXT DEFAULT 'new')");
    let listed = Some(vec!["a".into()]);
    let table = database.mapped(&TableMapping { columns: listed, ..TableMapping::json("t") });
    apply(&table, put("1", r#"{"a":"x"}"#)).await.unwrap();
    database.other().execute("UPDATE t SET secret = 'kept'", []).unwrap();
    let (_, record, _) = stored(apply(&table, put("1", r#"{"a":"y"}"#)).await.unwrap());
    assert_eq!(text(&record), r#"{"a":"y"}"#);
    assert_eq!(value(&database.table("t"), "1").await.unwrap(), r#"{"id":1,"a":"y","secret":"kept"}"#);
    let error = apply(&table, put("1", r#"{"secret":"x"}"#)).await.unwrap_err();
    assert!(error.detail().ends_with("there is no column `secret`; the closest: `a`"), "{error}");
}

#[tokio::test]
async fn an_upsert_never_touches_a_row_that_its_key_does_not_name() {
    let database =
        Database::new("CREATE TABLE t (id INTEGER PRIMARY KEY, mail TEXT UNIQUE ON CONFLICT REPLACE)");
    let strict = Database::new("CREATE TABLE t (id INTEGER PRIMARY KEY, mail TEXT UNIQUE)");
    let table = strict.table("t");
    apply(&table, put("1", r#"{"mail":"s3cret"}"#)).await.unwrap();
    for write in [put("2", r#"{"mail":"s3cret"}"#), create(r#"{"mail":"s3cret"}"#)] {
        let error = apply(&table, write).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Constraint);
        assert!(error.detail().contains("t.mail") && !error.detail().contains("s3cret"), "{error}");
    }
    assert!(value(&table, "1").await.is_some());
    // A table that says itself what a conflict does is warned of by the catalogue.
    assert!(database.table("t").table().has_other_unique);
}

#[tokio::test]
async fn the_row_is_read_back_after_its_triggers() {
    let database = Database::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, seen INT);
         CREATE TRIGGER g AFTER UPDATE OF a ON t BEGIN UPDATE t SET seen = 7 WHERE id = NEW.id; END;
         CREATE TRIGGER h BEFORE INSERT ON t WHEN NEW.a = 'ignored' BEGIN SELECT RAISE(IGNORE); END;",
    );
    let table = database.table("t");
    apply(&table, put("1", r#"{"a":"x"}"#)).await.unwrap();
    let (_, record, _) = stored(apply(&table, put("1", r#"{"a":"y"}"#)).await.unwrap());
    assert_eq!(text(&record), r#"{"id":1,"a":"y","seen":7}"#);
    let error = apply(&table, put("2", r#"{"a":"ignored"}"#)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Constraint);
}

#[tokio::test]
async fn tables_that_change_unnamed_and_tables_that_cannot_be_served_say_why() {
    let database = Database::new(
        "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE log (n INT); CREATE VIEW v AS SELECT 1;
         CREATE TABLE c (id INTEGER PRIMARY KEY, p INT REFERENCES p ON DELETE CASCADE);
         CREATE TRIGGER g AFTER INSERT ON p BEGIN INSERT INTO log VALUES (NEW.id); END;",
    );
    let changed: Vec<String> =
        database.source.hidden_changes().into_iter().map(|change| change.table).collect();
    assert_eq!(changed, ["c", "log"]);
    for (name, why) in [("log", "no primary key"), ("v", "a view"), ("x", "no table `x`")] {
        let error = database.source.resource(&TableMapping::json(name)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.detail().contains(why), "{error}");
    }
}

#[tokio::test]
async fn names_that_would_do_harm_are_just_names() {
    let database = Database::new(
        "CREATE TABLE \"a`b\"\"; DROP TABLE x; --\" (\"id`\" INTEGER PRIMARY KEY, \"select\" TEXT, \"a\"\"b\" TEXT)",
    );
    let table = database.table("a`b\"; DROP TABLE x; --");
    let row = r#"{"id`":1,"select":"x","a\"b":"y"}"#;
    assert_eq!(text(&stored(apply(&table, put("1", row)).await.unwrap()).1), row);
    assert_eq!(value(&table, "1").await.as_deref(), Some(row));
    assert!(matches!(apply(&table, delete("1")).await.unwrap(), Effect::Deleted { .. }));
}

#[tokio::test]
async fn resources_of_one_table_share_its_lock_and_differ_in_their_fingerprint() {
    let database = Database::new("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)");
    let all = database.table("t");
    let part = database.mapped(&TableMapping { columns: Some(vec!["a".into()]), ..TableMapping::json("t") });
    assert_ne!(all.fingerprint(), part.fingerprint());
    assert_eq!(all.fingerprint(), database.table("T").fingerprint());
    let prepared = throughline_core::Writer::prepare(&*all, &[put("1", "{}")]).await.unwrap();
    assert!(!load(&part, "1").await.fillable);
    prepared.commit().await.unwrap();
    assert!(load(&part, "1").await.fillable);
    assert_eq!(all.describe(), "table `t` of `shop.db`");
}
