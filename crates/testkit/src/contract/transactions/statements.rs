// SPDX-License-Identifier: MIT OR Apache-2.0
//! The application's own SQL.

use throughline_core::{ErrorKind, Executed, Parameter};

use super::super::source::{key, put};
use super::{TransactionsSubject, text};

pub async fn values_are_bound_and_rows_are_told(subject: TransactionsSubject) {
    let subject = subject.with_persons().await;
    let mut open = subject.begin().await;
    let hostile = "x'; DELETE FROM person; --";
    let renamed = open.execute(&subject.rename(), &[text(hostile), Parameter::Integer(1)]).await;
    assert_eq!(renamed, Executed { changed: 1, rows: Vec::new() });
    let missed = open.execute(&subject.rename(), &[text("Eve"), Parameter::Integer(9)]).await;
    assert_eq!(missed.changed, 0);
    let select = "SELECT id, first_name, last_name FROM person WHERE id > ? ORDER BY id";
    let select = select.replace('?', subject.places[0]);
    let told = open.execute(&select, &[Parameter::Integer(0)]).await;
    let row = |id, name: &str| vec![Parameter::Integer(id), text(name), Parameter::Null];
    assert_eq!(told, Executed { changed: 0, rows: vec![row(1, hostile), row(2, "Ada")] });
    open.commit().await;
    assert_eq!(subject.name("1").await.as_deref(), Some(hostile));
    assert_eq!(subject.name("2").await.as_deref(), Some("Ada"));
}

pub async fn more_rows_than_may_be_told_are_an_error(subject: TransactionsSubject) {
    let mut open = subject.begin().await;
    // 2 to the power of 14 rows, all of one note.
    open.write(&subject.note, put("n", "{}")).await;
    let twice = "(SELECT 1 AS a UNION ALL SELECT 2 AS a)";
    let tables: Vec<String> = (0..14).map(|place| format!("{twice} t{place}")).collect();
    let select = format!("SELECT name FROM note, {}", tables.join(", "));
    let error = open.transaction.execute(&select, &[]).await.expect_err("too many rows");
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    open.assert_ended(&subject.note).await;
    assert_eq!(subject.note.0.value("n").await, None);
}

pub async fn a_statement_that_is_not_about_rows_is_refused(subject: TransactionsSubject) {
    let subject = subject.with_persons().await;
    for sql in ["COMMIT", "ROLLBACK", "BEGIN", "DROP TABLE note", "SET NAMES utf8", "SELECT 1; COMMIT"] {
        let mut open = subject.begin().await;
        open.write(&subject.person, put("1", r#"{"first_name":"Eve"}"#)).await;
        open.transaction.execute(sql, &[]).await.expect_err(sql);
        drop(open);
        subject.person.0.write(put("2", r#"{"first_name":"Bob"}"#)).await;
        assert_eq!(subject.name("1").await.as_deref(), Some("Ada"), "{sql}");
        assert_eq!(subject.note.0.value("n").await, None, "{sql}: the table is there");
    }
}

pub async fn touch_tells_the_rows_own_key(subject: TransactionsSubject) {
    let subject = subject.with_persons().await;
    let mut open = subject.begin().await;
    assert_eq!(open.touch(&subject.person, "1").await, key("1"));
    assert_eq!(open.touch(&subject.person, "002").await, key("2"));
    open.commit().await;
    assert_eq!(subject.name("1").await.as_deref(), Some("Ada"), "to touch is not to change");
}

pub async fn a_key_that_no_row_can_have_cannot_be_touched(subject: TransactionsSubject) {
    let mut open = subject.begin().await;
    let error = open.transaction.touch(subject.person.1, &key("ada")).await.expect_err("no number");
    assert_eq!(error.kind(), ErrorKind::InvalidKey);
    open.assert_ended(&subject.person).await;
}
