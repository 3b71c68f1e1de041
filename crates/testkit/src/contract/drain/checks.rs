// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is refused before it is accepted.

use throughline_core::ErrorKind;

use super::super::source::{create, delete, person, put};
use super::{DrainSubject, Line};

pub async fn what_fits_is_let_through(subject: DrainSubject) {
    let drain = &subject.person.1;
    for write in [
        put("1", &person(1, "Ada")),
        put("1", r#"{"first_name":"Ada"}"#),
        put("1", r#"{ "last_name" : null, "first_name" : "" }"#),
        delete("1"),
    ] {
        drain.check(&write).expect("the table takes it");
        let mut line = Line::claim(drain, 1, "a").await;
        line.apply(&[write]).await;
    }
}

pub async fn what_no_row_can_be_is_refused_without_asking(subject: DrainSubject) {
    let drain = &subject.person.1;
    let line = Line::claim(drain, 1, "a").await;
    for (write, kind) in [
        (put("x", r#"{"first_name":"Ada"}"#), ErrorKind::InvalidKey),
        (put("1:2", r#"{"first_name":"Ada"}"#), ErrorKind::InvalidKey),
        (delete("x"), ErrorKind::InvalidKey),
        (create(r#"{"first_name":"Ada"}"#), ErrorKind::InvalidKey),
        (put("1", r#"{"first_name":"Ada","shoe":1}"#), ErrorKind::InvalidValue),
        (put("1", r#"{"first_name":7}"#), ErrorKind::InvalidValue),
        (put("1", r#"{"first_name":null}"#), ErrorKind::InvalidValue),
        (put("1", r#"{"last_name":"L"}"#), ErrorKind::InvalidValue),
        (put("1", &person(2, "Ada")), ErrorKind::InvalidValue),
        (put("1", "[]"), ErrorKind::InvalidValue),
        (put("1", "{"), ErrorKind::InvalidValue),
    ] {
        let error = drain.check(&write).expect_err("no row can be like that");
        assert_eq!(error.kind(), kind, "{error}");
        // Should it have been accepted all the same, it is told by its place.
        let batch = [put("5", &person(5, "Eve")), write];
        let refused = line.give(&batch).await.expect_err("no row can be like that");
        assert_eq!((refused.at, refused.error.kind()), (Some(1), kind));
    }
    assert_eq!(subject.person.0.value("5").await, None);
}
