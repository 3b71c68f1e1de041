// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is seen of a transaction, by itself and by others.

use throughline_core::{Condition, Effect, Hold, Refusal, Version};

use super::super::source::{create, delete, key, person, put, stored, when};
use super::{ADA, EVE, TransactionsSubject};

pub async fn a_transaction_sees_its_own_writes_and_nobody_else_does(subject: TransactionsSubject) {
    let subject = subject.with_persons().await;
    let mut open = subject.begin().await;
    open.write(&subject.person, put("1", EVE)).await;
    open.write(&subject.person, delete("2")).await;
    for hold in [Hold::Free, Hold::Locked] {
        assert_eq!(open.read(&subject.person, "1", hold).await, Some(person(1, "Eve")));
        assert_eq!(open.read(&subject.person, "2", hold).await, None);
    }
    assert_eq!(subject.name("1").await.as_deref(), Some("Ada"));
    assert_eq!(subject.name("2").await.as_deref(), Some("Ada"));
    let prepared = open.prepare().await;
    assert_eq!(subject.name("1").await.as_deref(), Some("Ada"), "prepared is not committed");
    prepared.commit().await.expect("a healthy source commits");
    assert_eq!(subject.name("1").await.as_deref(), Some("Eve"));
    assert_eq!(subject.name("2").await, None);
}

pub async fn what_was_committed_is_there_in_every_table(subject: TransactionsSubject) {
    let mut open = subject.begin().await;
    open.write(&subject.person, put("1", ADA)).await;
    open.write(&subject.note, put("one", r#"{"body":"first"}"#)).await;
    open.write(&subject.person, create(r#"{"id":7,"first_name":"Eve"}"#)).await;
    open.commit().await;
    assert_eq!(subject.name("1").await.as_deref(), Some("Ada"));
    assert_eq!(subject.name("7").await.as_deref(), Some("Eve"));
    assert_eq!(subject.note.0.value("one").await.as_deref(), Some(r#"{"name":"one","body":"first"}"#));
}

pub async fn a_write_tells_the_row_as_it_is_read_back(subject: TransactionsSubject) {
    let mut open = subject.begin().await;
    let made = open.write(&subject.person, create(ADA)).await;
    let (at, record, created) = stored(&made);
    assert!(created);
    let seen = open.read(&subject.person, at.as_str(), Hold::Free).await.expect("it sees its own row");
    assert_eq!(record.value, seen);
    let replaced = open.write(&subject.person, put(at.as_str(), EVE)).await;
    let (again, record, created) = stored(&replaced);
    assert!(again == at && !created && record.value.windows(3).any(|part| part == b"Eve"));
    let deleted = open.write(&subject.person, delete(at.as_str())).await;
    assert_eq!(deleted, Effect::Deleted { key: at.clone() });
    open.commit().await;
}

pub async fn a_refused_condition_is_told_and_ends_nothing(subject: TransactionsSubject) {
    let subject = subject.with_persons().await;
    let mut open = subject.begin().await;
    let refused = [
        (when(Condition::Absent, put("1", EVE)), Refusal::Exists),
        (when(Condition::Present, put("9", EVE)), Refusal::Absent),
        (delete("9"), Refusal::Absent),
    ];
    for (write, refusal) in refused {
        assert_eq!(open.write(&subject.person, write).await, Effect::Refused(refusal));
    }
    let other = when(Condition::Unchanged(vec![Version(1)]), put("1", EVE));
    let conflict = open.write(&subject.person, other).await;
    let version = subject.person.0.version("1").await;
    assert_eq!(conflict, Effect::Refused(Refusal::Conflict(version)));
    let same = when(Condition::Unchanged(vec![version]), put("1", EVE));
    assert_eq!(*stored(&open.write(&subject.person, same).await).0, key("1"));
    open.commit().await;
    assert_eq!(subject.name("1").await.as_deref(), Some("Eve"));
    assert_eq!(subject.name("9").await, None);
}

pub async fn a_prepared_transaction_has_no_effects_left_to_tell(subject: TransactionsSubject) {
    let mut open = subject.begin().await;
    open.write(&subject.person, put("1", ADA)).await;
    let prepared = open.prepare().await;
    assert_eq!(prepared.effects(), []);
    prepared.commit().await.expect("a healthy source commits");
}
