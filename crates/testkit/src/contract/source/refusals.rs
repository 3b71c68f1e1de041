// SPDX-License-Identifier: MIT OR Apache-2.0
//! What does not take place, and how it is said.

use throughline_core::{Condition, Effect, ErrorKind, Refusal, Version, Write};

use super::{SourceSubject, create, delete, person, put, stored, when};

const ADA: &str = r#"{"first_name":"Ada"}"#;
const EVE: &str = r#"{"first_name":"Eve"}"#;

pub async fn a_record_that_must_be_absent_is_refused_as_existing(subject: SourceSubject) {
    let insert = |value| when(Condition::Absent, put("1", value));
    assert!(stored(&subject.person.write(insert(ADA)).await).2);
    assert_eq!(subject.person.write(insert(EVE)).await, Effect::Refused(Refusal::Exists));
}

pub async fn a_record_that_must_be_present_is_refused_as_absent(subject: SourceSubject) {
    let absent = Effect::Refused(Refusal::Absent);
    assert_eq!(subject.person.write(when(Condition::Present, put("1", ADA))).await, absent);
    assert_eq!(subject.person.write(delete("1")).await, absent);
    assert_eq!(subject.person.write(when(Condition::Present, delete("1"))).await, absent);
    let unchanged = || Condition::Unchanged(vec![Version(1)]);
    assert_eq!(subject.person.write(when(unchanged(), put("1", ADA))).await, absent);
    assert_eq!(subject.person.write(when(unchanged(), delete("1"))).await, absent);
    subject.person.write(put("1", ADA)).await;
    assert!(!stored(&subject.person.write(when(Condition::Present, put("1", EVE))).await).2);
}

pub async fn another_version_is_refused_with_the_present_one(subject: SourceSubject) {
    subject.person.write(put("1", ADA)).await;
    let old = subject.person.version("1").await;
    subject.person.write(put("1", EVE)).await;
    let conflict = Effect::Refused(Refusal::Conflict(subject.person.version("1").await));
    let unchanged = |write: Write| when(Condition::Unchanged(vec![old]), write);
    assert_eq!(subject.person.write(unchanged(put("1", ADA))).await, conflict);
    assert_eq!(subject.person.write(unchanged(delete("1"))).await, conflict);
    assert_eq!(subject.person.value("1").await, Some(person(1, "Eve")));
}

pub async fn one_of_the_given_versions_suffices(subject: SourceSubject) {
    subject.person.write(put("1", ADA)).await;
    let version = subject.person.version("1").await;
    let versions = vec![Version(version.0.wrapping_add(1)), version];
    let effect = subject.person.write(when(Condition::Unchanged(versions), put("1", EVE))).await;
    assert!(!stored(&effect).2);
    let now = subject.person.version("1").await;
    let effect = subject.person.write(when(Condition::Unchanged(vec![now]), delete("1"))).await;
    assert!(matches!(effect, Effect::Deleted { .. }));
}

pub async fn a_new_record_whose_key_exists_is_refused(subject: SourceSubject) {
    subject.person.write(put("1", ADA)).await;
    let effect = subject.person.write(create(r#"{"id":1,"first_name":"Eve"}"#)).await;
    assert_eq!(effect, Effect::Refused(Refusal::Exists));
    assert_eq!(subject.person.value("1").await, Some(person(1, "Ada")));
}

pub async fn a_refused_write_changes_nothing(subject: SourceSubject) {
    subject.person.write(put("1", ADA)).await;
    let refused = when(Condition::Absent, put("1", EVE));
    let prepared = subject.person.prepare(&[refused, put("2", ADA)]).await;
    assert_eq!(prepared.effects()[0], Effect::Refused(Refusal::Exists));
    prepared.commit().await.expect("a healthy source commits");
    assert_eq!(subject.person.value("1").await, Some(person(1, "Ada")));
    assert_eq!(subject.person.value("2").await, Some(person(2, "Ada")));
}

pub async fn an_unknown_column_is_named_with_the_closest(subject: SourceSubject) {
    let detail = invalid_value(&subject, r#"{"frist_name":"s3cret"}"#).await;
    assert!(detail.contains("`frist_name`") && detail.contains("`first_name`"), "{detail}");
}

pub async fn a_value_of_the_wrong_type_is_refused_by_its_column(subject: SourceSubject) {
    for value in [
        r#"{"first_name":"s3cret","last_name":17}"#,
        r#"{"first_name":"s3cret","last_name":["s3cret"]}"#,
        r#"{"first_name":"s3cret","last_name":true}"#,
    ] {
        let detail = invalid_value(&subject, value).await;
        assert!(detail.contains("`last_name`"), "{detail}");
    }
    let detail = invalid_value(&subject, r#"{"first_name":null}"#).await;
    assert!(detail.contains("`first_name`"), "{detail}");
}

pub async fn a_missing_column_without_default_is_named(subject: SourceSubject) {
    let detail = invalid_value(&subject, r#"{"last_name":"s3cret"}"#).await;
    assert!(detail.contains("`first_name`"), "{detail}");
}

pub async fn a_key_in_the_value_must_equal_the_key(subject: SourceSubject) {
    let detail = invalid_value(&subject, r#"{"id":2,"first_name":"s3cret"}"#).await;
    assert!(detail.contains("`id`"), "{detail}");
    subject.person.write(put("1", r#"{"id":1,"first_name":"Ada"}"#)).await;
    assert_eq!(subject.person.value("1").await, Some(person(1, "Ada")));
}

pub async fn what_is_not_an_object_is_refused(subject: SourceSubject) {
    for value in ["", "s3cret", "\"s3cret\"", "[\"s3cret\"]", "{\"first_name\":\"s3cret\"", "{}}"] {
        invalid_value(&subject, value).await;
    }
}

/// The detail of the error of a put to key 1, which must not repeat the value and must write nothing.
async fn invalid_value(subject: &SourceSubject, value: &str) -> String {
    let error = subject.person.refused(put("1", value)).await;
    assert_eq!(error.kind(), ErrorKind::InvalidValue, "{value}");
    assert!(!error.to_string().contains("s3cret"), "{error}");
    assert_eq!(subject.person.value("1").await, None);
    error.detail().to_owned()
}
