// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a transaction keeps others from.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use throughline_core::{Hold, Parameter, Retry};

use super::super::source::put;
use super::{EVE, TransactionsSubject, text};

/// Row 1 is old, and nobody fills it, until the commit; row 2 is everybody's.
async fn assert_held(subject: &TransactionsSubject, prepared: Box<dyn throughline_core::Prepared>) {
    let loaded = subject.person.0.load("1", true).await;
    assert!(!loaded.fillable, "{loaded:?}");
    assert_eq!(subject.name("1").await.as_deref(), Some("Ada"));
    prepared.commit().await.expect("a healthy source commits");
    assert_eq!(subject.name("1").await.as_deref(), Some("Eve"));
    assert!(subject.person.0.load("1", true).await.fillable, "the commit gave the lock back");
}

pub async fn from_the_preparation_on_a_written_row_is_not_filled(subject: TransactionsSubject) {
    let subject = subject.with_persons().await;
    let mut open = subject.begin().await;
    open.write(&subject.person, put("1", EVE)).await;
    assert_held(&subject, open.prepare().await).await;
}

pub async fn from_the_preparation_on_a_touched_row_is_not_filled(subject: TransactionsSubject) {
    let subject = subject.with_persons().await;
    let mut open = subject.begin().await;
    open.execute(&subject.rename(), &[text("Eve"), Parameter::Integer(1)]).await;
    open.touch(&subject.person, "1").await;
    assert_held(&subject, open.prepare().await).await;
}

pub async fn other_rows_are_filled_beside_a_prepared_transaction(subject: TransactionsSubject) {
    let subject = subject.with_persons().await;
    let mut open = subject.begin().await;
    open.write(&subject.person, put("1", EVE)).await;
    let prepared = open.prepare().await;
    assert!(subject.person.0.load("2", true).await.fillable);
    prepared.commit().await.expect("a healthy source commits");
}

pub async fn a_locked_read_loses_no_update(subject: TransactionsSubject) {
    const TASKS: u32 = 4;
    const ROUNDS: u32 = 8;
    subject.note.0.write(put("n", r#"{"body":"0"}"#)).await;
    let add_one = async || {
        let mut transaction = subject.transactions.begin().await?;
        let key = super::super::source::key("n");
        let record = transaction.read(subject.note.1, &key, Hold::Locked).await?.expect("the note is there");
        let json = String::from_utf8(record.value.to_vec()).expect("JSON is UTF-8");
        let digits: String = json.chars().filter(char::is_ascii_digit).collect();
        let next = digits.parse::<u32>().expect("the body is a number") + 1;
        let write = put("n", &format!(r#"{{"body":"{next}"}}"#));
        transaction.write(subject.note.1, &write).await?;
        transaction.prepare().await?.commit().await
    };
    let task = async || {
        for _ in 0..ROUNDS {
            while let Err(error) = add_one().await {
                assert_eq!(error.retry(), Retry::Safe, "{error}");
            }
        }
    };
    tokio::join!(task(), task(), task(), task());
    let body = format!(r#"{{"name":"n","body":"{}"}}"#, TASKS * ROUNDS);
    assert_eq!(subject.note.0.value("n").await, Some(body));
}

pub async fn a_single_write_waits_for_the_row_of_a_transaction(subject: TransactionsSubject) {
    let subject = subject.with_persons().await;
    let mut open = subject.begin().await;
    open.write(&subject.person, put("1", EVE)).await;
    let committed = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&committed);
    let table = subject.person.0.clone();
    let beside = tokio::spawn(async move {
        let prepared = table.prepare(&[put("1", r#"{"first_name":"Bob"}"#)]).await;
        assert!(seen.load(Ordering::SeqCst), "its row is the transaction's until that ends");
        prepared.commit().await.expect("a healthy source commits");
    });
    // Time for the write to be sent; if it is slower than that, nothing is shown this time.
    for _ in 0..50 {
        subject.name("1").await;
    }
    let prepared = open.prepare().await;
    committed.store(true, Ordering::SeqCst);
    prepared.commit().await.expect("a healthy source commits");
    beside.await.expect("the write took its turn");
    assert_eq!(subject.name("1").await.as_deref(), Some("Bob"));
}
