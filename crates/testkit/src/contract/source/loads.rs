// SPDX-License-Identifier: MIT OR Apache-2.0
//! What loads find.

use throughline_core::{Canonical, Error, ErrorKind, Key};

use super::{SourceSubject, intent, key, person, put};

/// Keys and values that would do harm in a statement, a path or a format string.
const HOSTILE: &[&str] = &[
    "1' OR '1'='1",
    "'; DROP TABLE note; --",
    "\\'; DROP TABLE note; #",
    "`note`\"'",
    "{0} %s ${HOME}",
    "../../etc/passwd",
    "a\tb\nc\u{1}",
    "ключ 🗝",
    "?1 :name @x $y",
    " leading and inner  spaces",
    "NULL",
];

pub async fn an_absent_key_is_found_absent(subject: SourceSubject) {
    assert_eq!(subject.person.load("1", false).await.record, None);
}

pub async fn a_row_is_compact_json_in_the_order_of_its_columns(subject: SourceSubject) {
    let given = r#" { "last_name" : "Lovelace", "first_name" : "Ada \"A\" \u00e9" } "#;
    subject.person.write(put("1", given)).await;
    let expected = r#"{"id":1,"first_name":"Ada \"A\" é","last_name":"Lovelace"}"#;
    assert_eq!(subject.person.value("1").await.as_deref(), Some(expected));
}

pub async fn load_many_answers_in_order_with_one_statement(subject: SourceSubject) {
    for id in ["1", "2", "3"] {
        subject.person.write(put(id, r#"{"first_name":"x"}"#)).await;
    }
    let before = (subject.load_statements)();
    let keys = ["3", "9", "1", "3", "2"].map(key);
    let loaded = subject.person.loader.load_many(&keys, intent(true)).await;
    let values: Vec<_> = loaded
        .expect("a healthy source answers")
        .into_iter()
        .map(|loaded| loaded.record.map(|record| record.value))
        .collect();
    let row = |id| Some(person(id, "x").into());
    assert_eq!(values, [row(3), None, row(1), row(3), row(2)]);
    assert_eq!((subject.load_statements)() - before, 1);
}

pub async fn a_thousand_keys_are_one_statement(subject: SourceSubject) {
    subject.person.write(put("777", r#"{"first_name":"x"}"#)).await;
    let before = (subject.load_statements)();
    let keys: Vec<_> = (1..=1_000).map(|id: u32| key(&id.to_string())).collect();
    let loaded = subject.person.loader.load_many(&keys, intent(false)).await;
    let found = loaded.expect("a healthy source answers");
    assert_eq!(found.len(), 1_000);
    assert_eq!(found.iter().position(|loaded| loaded.record.is_some()), Some(776));
    assert_eq!((subject.load_statements)() - before, 1);
}

pub async fn sent_is_tripped_by_a_load_and_by_nothing_before(subject: SourceSubject) {
    let (one, many) = (intent(false), intent(true));
    let (one_sent, many_sent) = (one.sent.clone(), many.sent.clone());
    let seven = key("7");
    let load = subject.person.loader.load(&seven, one);
    assert!(!one_sent.is_tripped(), "nothing was asked yet");
    load.await.expect("a healthy source answers");
    assert!(one_sent.is_tripped());
    let keys = [key("1"), key("2")];
    let loaded = subject.person.loader.load_many(&keys, many).await;
    loaded.expect("a healthy source answers");
    assert!(many_sent.is_tripped());
}

pub async fn another_spelling_of_a_key_finds_the_row(subject: SourceSubject) {
    subject.person.write(put("42", r#"{"first_name":"x"}"#)).await;
    let canonical = subject.person.loader.canonical(&key("0042")).expect("a number");
    assert_eq!(canonical, Canonical::Other(key("42")));
    assert_eq!(subject.person.loader.canonical(&key("42")).expect("a number"), Canonical::Same);
    assert_eq!(subject.person.value("0042").await, Some(person(42, "x")));
    let keys = [key("0042"), key("42")];
    let many = subject.person.loader.load_many(&keys, intent(false)).await;
    assert!(many.expect("a healthy source answers").iter().all(|loaded| loaded.record.is_some()));
}

pub async fn a_key_that_no_row_can_have_is_invalid(subject: SourceSubject) {
    for text in ["", "x", "1.5", "1:2", "9223372036854775808", "1%20"] {
        let kind = |error: Error| error.kind();
        let asked = subject.person.loader.canonical(&key(text));
        assert_eq!(asked.map_err(kind), Err(ErrorKind::InvalidKey), "{text:?}");
        let loaded = subject.person.loader.load(&key(text), intent(false)).await;
        assert_eq!(loaded.map_err(kind), Err(ErrorKind::InvalidKey), "{text:?}");
    }
}

pub async fn a_hostile_key_is_just_a_key(subject: SourceSubject) {
    for text in HOSTILE {
        let hostile = Key::from_parts([text.as_bytes()]).expect("a short key");
        assert_eq!(subject.note.value(hostile.as_str()).await, None, "{text:?}");
        subject.note.write(put(hostile.as_str(), r#"{"body":"x"}"#)).await;
        assert!(subject.note.value(hostile.as_str()).await.is_some(), "{text:?}");
    }
    let keys: Vec<_> =
        HOSTILE.iter().map(|text| Key::from_parts([text.as_bytes()]).expect("a short key")).collect();
    let found = subject.note.loader.load_many(&keys, intent(false)).await;
    assert!(found.expect("a healthy source answers").iter().all(|loaded| loaded.record.is_some()));
}

pub async fn a_hostile_value_is_just_a_value(subject: SourceSubject) {
    for text in HOSTILE {
        let quoted = quoted(text);
        subject.note.write(put("n", &format!(r#"{{"body":{quoted}}}"#))).await;
        let expected = format!(r#"{{"name":"n","body":{quoted}}}"#);
        assert_eq!(subject.note.value("n").await, Some(expected), "{text:?}");
    }
}

/// `text` as JSON writes it.
fn quoted(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\t', "\\t")
        .replace('\n', "\\n")
        .replace('\u{1}', "\\u0001");
    format!("\"{escaped}\"")
}
