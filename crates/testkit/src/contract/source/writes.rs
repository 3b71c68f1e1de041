// SPDX-License-Identifier: MIT OR Apache-2.0
//! What writes do, and when it is seen.

use throughline_core::Effect;

use super::{SourceSubject, create, delete, key, person, put, stored};

const ADA: &str = r#"{"first_name":"Ada"}"#;
const EVE: &str = r#"{"first_name":"Eve"}"#;

pub async fn an_upsert_inserts_then_replaces(subject: SourceSubject) {
    let effect = subject.person.write(put("1", ADA)).await;
    assert!(stored(&effect).2, "it was created");
    let effect = subject.person.write(put("1", EVE)).await;
    assert!(!stored(&effect).2, "it was replaced");
    assert_eq!(subject.person.value("1").await, Some(person(1, "Eve")));
}

pub async fn a_replaced_row_gets_defaults_for_what_is_omitted(subject: SourceSubject) {
    subject.person.write(put("1", r#"{"first_name":"Ada","last_name":"Lovelace"}"#)).await;
    subject.person.write(put("1", ADA)).await;
    assert_eq!(subject.person.value("1").await, Some(person(1, "Ada")));
}

pub async fn the_effect_holds_the_row_as_it_is_read_back(subject: SourceSubject) {
    for value in [ADA, EVE] {
        let effect = subject.person.write(put("1", value)).await;
        let (at, record, _) = stored(&effect);
        assert_eq!(*at, key("1"));
        assert_eq!(Some(record), subject.person.load("1", true).await.record.as_ref());
    }
}

pub async fn a_delete_removes_the_row(subject: SourceSubject) {
    subject.person.write(put("1", ADA)).await;
    assert_eq!(subject.person.write(delete("1")).await, Effect::Deleted { key: key("1") });
    assert_eq!(subject.person.value("1").await, None);
}

pub async fn a_new_record_gets_its_key_from_the_database(subject: SourceSubject) {
    let (one, two) = (subject.person.write(create(ADA)).await, subject.person.write(create(EVE)).await);
    let (one, two) = (stored(&one).0, stored(&two).0);
    assert_ne!(one, two);
    assert!(subject.person.value(one.as_str()).await.is_some_and(|value| value.contains("Ada")));
    assert!(subject.person.value(two.as_str()).await.is_some_and(|value| value.contains("Eve")));
}

pub async fn a_new_record_may_bring_its_key(subject: SourceSubject) {
    let effect = subject.person.write(create(r#"{"id":77,"first_name":"Ada"}"#)).await;
    assert_eq!(*stored(&effect).0, key("77"));
    assert_eq!(subject.person.value("77").await, Some(person(77, "Ada")));
}

pub async fn the_canonical_key_is_written_whatever_the_spelling(subject: SourceSubject) {
    let effect = subject.person.write(put("007", ADA)).await;
    assert_eq!(*stored(&effect).0, key("7"));
    assert_eq!(subject.person.value("7").await, Some(person(7, "Ada")));
    assert_eq!(subject.person.write(delete("07")).await, Effect::Deleted { key: key("7") });
}

pub async fn several_writes_are_one_transaction_in_their_order(subject: SourceSubject) {
    subject.person.write(put("1", ADA)).await;
    let writes = [put("2", ADA), delete("1"), put("2", EVE), put("3", ADA)];
    let prepared = subject.person.prepare(&writes).await;
    let created: Vec<bool> = prepared
        .effects()
        .iter()
        .map(|effect| matches!(effect, Effect::Stored { created: true, .. }))
        .collect();
    assert_eq!(created, [true, false, false, true]);
    assert_eq!(prepared.effects()[1], Effect::Deleted { key: key("1") });
    prepared.commit().await.expect("a healthy source commits");
    assert_eq!(subject.person.value("1").await, None);
    assert_eq!(subject.person.value("2").await, Some(person(2, "Eve")));
    assert_eq!(subject.person.value("3").await, Some(person(3, "Ada")));
}

pub async fn nothing_is_visible_before_the_commit(subject: SourceSubject) {
    subject.person.write(put("2", ADA)).await;
    let prepared = subject.person.prepare(&[put("1", ADA), put("2", EVE)]).await;
    assert_eq!(subject.person.value("1").await, None);
    assert_eq!(subject.person.value("2").await, Some(person(2, "Ada")));
    prepared.commit().await.expect("a healthy source commits");
    assert_eq!(subject.person.value("1").await, Some(person(1, "Ada")));
    assert_eq!(subject.person.value("2").await, Some(person(2, "Eve")));
}

pub async fn a_rolled_back_write_leaves_no_trace(subject: SourceSubject) {
    subject.person.write(put("2", ADA)).await;
    let prepared = subject.person.prepare(&[put("1", EVE), delete("2")]).await;
    prepared.roll_back().await.expect("a healthy source rolls back");
    let (one, two) = (subject.person.load("1", true).await, subject.person.load("2", true).await);
    assert_eq!((one.record, one.fillable), (None, true));
    assert_eq!(two.record.map(|record| record.value), Some(person(2, "Ada").into()));
    assert!(two.fillable, "the lock is released when the roll back ends");
}

pub async fn a_dropped_write_leaves_no_trace(subject: SourceSubject) {
    let prepared = subject.person.prepare(&[put("1", EVE)]).await;
    drop(prepared);
    assert_eq!(subject.person.value("1").await, None);
    // The lock is released although nobody awaited it: the next write gets it.
    let effect = subject.person.write(put("1", ADA)).await;
    assert!(stored(&effect).2, "it was created");
}

pub async fn a_failed_write_takes_the_whole_transaction_with_it(subject: SourceSubject) {
    let writes = [put("1", ADA), put("2", r#"{"first_name":7}"#)];
    assert!(subject.person.writer.prepare(&writes).await.is_err());
    assert_eq!(subject.person.value("1").await, None);
    assert!(subject.person.load("1", true).await.fillable);
}
