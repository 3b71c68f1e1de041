// SPDX-License-Identifier: MIT OR Apache-2.0
//! What may be filled, and what must not.

use super::{SourceSubject, delete, intent, key, person, put};

const ADA: &str = r#"{"first_name":"Ada"}"#;
const EVE: &str = r#"{"first_name":"Eve"}"#;

pub async fn a_quiet_key_is_fillable_present_or_absent(subject: SourceSubject) {
    subject.person.write(put("1", ADA)).await;
    assert!(subject.person.load("1", true).await.fillable);
    assert!(subject.person.load("2", true).await.fillable);
}

pub async fn without_a_lease_nothing_is_fillable(subject: SourceSubject) {
    subject.person.write(put("1", ADA)).await;
    assert!(!subject.person.load("1", false).await.fillable);
    assert!(!subject.person.load("2", false).await.fillable);
    let keys = [key("1"), key("2")];
    let many = subject.person.loader.load_many(&keys, intent(false)).await;
    assert!(many.expect("a healthy source answers").iter().all(|loaded| !loaded.fillable));
}

pub async fn another_spelling_of_a_key_is_never_fillable(subject: SourceSubject) {
    subject.person.write(put("42", ADA)).await;
    for spelling in ["042", "043"] {
        assert!(!subject.person.load(spelling, true).await.fillable, "{spelling}");
        let keys = [key(spelling)];
        let many = subject.person.loader.load_many(&keys, intent(true)).await;
        assert!(!many.expect("a healthy source answers")[0].fillable, "{spelling}");
    }
}

pub async fn beside_a_prepared_write_the_old_row_is_read_and_not_filled(subject: SourceSubject) {
    subject.person.write(put("1", ADA)).await;
    let prepared = subject.person.prepare(&[put("1", EVE)]).await;
    let beside = subject.person.load("1", true).await;
    assert!(!beside.fillable);
    assert_eq!(beside.record.map(|record| record.value), Some(person(1, "Ada").into()));
    prepared.commit().await.expect("a healthy source commits");
    let after = subject.person.load("1", true).await;
    assert!(after.fillable);
    assert_eq!(after.record.map(|record| record.value), Some(person(1, "Eve").into()));
}

pub async fn beside_a_prepared_insert_absence_is_not_filled(subject: SourceSubject) {
    let prepared = subject.person.prepare(&[put("1", ADA)]).await;
    let beside = subject.person.load("1", true).await;
    assert_eq!((beside.record, beside.fillable), (None, false));
    prepared.roll_back().await.expect("a healthy source rolls back");
    let after = subject.person.load("1", true).await;
    assert_eq!((after.record, after.fillable), (None, true));
}

pub async fn beside_a_prepared_delete_the_row_is_not_filled(subject: SourceSubject) {
    subject.person.write(put("1", ADA)).await;
    let prepared = subject.person.prepare(&[delete("1")]).await;
    let beside = subject.person.load("1", true).await;
    assert!(beside.record.is_some() && !beside.fillable);
    prepared.commit().await.expect("a healthy source commits");
    let after = subject.person.load("1", true).await;
    assert_eq!((after.record, after.fillable), (None, true));
}

pub async fn other_keys_are_fillable_beside_a_prepared_write(subject: SourceSubject) {
    subject.person.write(put("1", ADA)).await;
    subject.person.write(put("2", ADA)).await;
    let prepared = subject.person.prepare(&[put("1", EVE)]).await;
    assert!(subject.person.load("2", true).await.fillable);
    prepared.roll_back().await.expect("a healthy source rolls back");
}

pub async fn load_many_probes_each_key(subject: SourceSubject) {
    for id in ["1", "2", "3"] {
        subject.person.write(put(id, ADA)).await;
    }
    let prepared = subject.person.prepare(&[put("2", EVE)]).await;
    let keys = ["1", "2", "3"].map(key);
    let many = subject.person.loader.load_many(&keys, intent(true)).await;
    let many = many.expect("a healthy source answers");
    assert!(!many[1].fillable, "a prepared write holds this key");
    let value = many[1].record.as_ref().map(|record| record.value.clone());
    assert_eq!(value, Some(person(2, "Ada").into()));
    prepared.commit().await.expect("a healthy source commits");
    let many = subject.person.loader.load_many(&keys, intent(true)).await;
    assert!(many.expect("a healthy source answers").iter().all(|loaded| loaded.fillable));
}
