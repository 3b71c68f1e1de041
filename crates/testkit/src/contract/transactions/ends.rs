// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a transaction ends, wanted or not.

use std::task::{Context, Waker};

use throughline_core::{Condition, Record};

use super::super::source::{person, put, stored, when};
use super::{ADA, EVE, Open, TransactionsSubject};

/// A transaction that has renamed person 1.
async fn changed(subject: &TransactionsSubject) -> Open {
    let mut open = subject.begin().await;
    open.write(&subject.person, put("1", EVE)).await;
    open
}

/// Persons 1 and 2 are as they were, and free to be written.
async fn assert_no_trace(subject: &TransactionsSubject) {
    let record = Record::from_content(person(1, "Ada"));
    let same = Condition::Unchanged(vec![record.version]);
    // Waits for what is still being rolled back.
    let effect = subject.person.0.write(when(same, put("1", ADA))).await;
    assert!(!stored(&effect).2, "{effect:?}");
    assert_eq!(subject.name("2").await.as_deref(), Some("Ada"));
}

pub async fn a_dropped_transaction_leaves_no_trace(subject: TransactionsSubject) {
    let subject = subject.with_persons().await;
    drop(changed(&subject).await);
    assert_no_trace(&subject).await;
}

pub async fn a_prepared_transaction_that_is_dropped_leaves_no_trace(subject: TransactionsSubject) {
    let subject = subject.with_persons().await;
    drop(changed(&subject).await.prepare().await);
    assert_no_trace(&subject).await;
}

pub async fn a_prepared_transaction_that_is_rolled_back_leaves_no_trace(subject: TransactionsSubject) {
    let subject = subject.with_persons().await;
    let prepared = changed(&subject).await.prepare().await;
    prepared.roll_back().await.expect("a healthy source rolls back");
    assert_eq!(subject.name("1").await.as_deref(), Some("Ada"));
    let free = subject.person.0.load("1", true).await;
    assert!(free.fillable, "a finished roll-back holds no lock");
    assert_no_trace(&subject).await;
}

pub async fn the_first_error_ends_it_and_nothing_was_written(subject: TransactionsSubject) {
    let subject = subject.with_persons().await;
    let mut open = changed(&subject).await;
    open.transaction.execute("SELECT nothing FROM nowhere", &[]).await.expect_err("there is no such table");
    open.assert_ended(&subject.person).await;
    assert_no_trace(&subject).await;
    let mut open = changed(&subject).await;
    let wrong = put("2", r#"{"first_name":7,"shoe_size":"large"}"#);
    open.transaction.write(subject.person.1, &wrong).await.expect_err("there is no such column");
    open.assert_ended(&subject.person).await;
    assert_no_trace(&subject).await;
}

pub async fn a_call_that_is_dropped_ends_it_and_nothing_was_written(subject: TransactionsSubject) {
    let subject = subject.with_persons().await;
    let mut open = changed(&subject).await;
    let write = put("2", EVE);
    let mut call = open.transaction.write(subject.person.1, &write);
    let is_done = call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
    drop(call);
    // If it was faster than that, only the transaction is dropped.
    if !is_done {
        open.assert_ended(&subject.person).await;
    }
    assert_no_trace(&subject).await;
}

pub async fn a_commit_takes_place_although_its_future_is_dropped(subject: TransactionsSubject) {
    let subject = subject.with_persons().await;
    let mut commit = changed(&subject).await.prepare().await.commit();
    let _ = commit.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    drop(commit);
    while subject.name("1").await.as_deref() != Some("Eve") {
        tokio::task::yield_now().await;
    }
}
