// SPDX-License-Identifier: MIT OR Apache-2.0
//! Records, assignments and statements of one table.

use std::sync::Arc;

use bytes::Bytes;
use throughline_core::{ErrorKind, Key};
use uuid::Uuid;

use super::super::{Assignment, Dialect, Lock, Statements, Value};
use super::{Cell, Column, Format, Kind, Mapping, Table, TableMapping};

fn person() -> Arc<Table> {
    let text = Kind::Text { exact: true };
    let integer = Kind::Integer { bits: 64, unsigned: false };
    Arc::new(Table {
        schema: None,
        name: "person".into(),
        columns: vec![
            Column { auto_increment: true, nullable: false, ..Column::new("id", integer.clone()) },
            Column { nullable: false, ..Column::new("first_name", text.clone()) },
            Column::new("last_name", text.clone()),
            Column { default: Some("'new'".into()), ..Column::new("state", text.clone()) },
            Column { generated: true, ..Column::new("initial", text) },
            Column::new("version", integer),
        ],
        primary_key: vec![0],
        has_other_unique: false,
        foreign_keys: vec![],
        triggers: vec![],
        unservable: None,
    })
}

fn mapping(change: impl FnOnce(&mut TableMapping)) -> Mapping {
    let mut settings = TableMapping::json("person");
    change(&mut settings);
    Mapping::new(person(), &settings).unwrap()
}

fn key() -> Key {
    Key::parse("7").unwrap()
}

fn refused(mapping: &Mapping, body: &'static str) -> String {
    let error = mapping.replace(&key(), &Bytes::from_static(body.as_bytes()), 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidValue);
    error.detail().to_owned()
}

#[test]
fn a_record_is_compact_json_in_the_order_of_the_columns() {
    let row =
        [Cell::Int(7), Cell::Text("A\"da"), Cell::Null, Cell::Text("new"), Cell::Text("A"), Cell::Int(3)];
    let record = mapping(|_| ()).record(|at| row[at]);
    assert_eq!(
        record.value,
        r#"{"id":7,"first_name":"A\"da","last_name":null,"state":"new","initial":"A","version":3}"#
    );
}

#[test]
fn only_the_listed_columns_are_shown_and_known() {
    let mapping = mapping(|settings| settings.columns = Some(vec!["last_name".into(), "id".into()]));
    let row = [Cell::Int(7), Cell::Text("Lovelace")];
    assert_eq!(mapping.record(|at| row[at]).value, r#"{"id":7,"last_name":"Lovelace"}"#);
    assert!(!refused(&mapping, r#"{"first_name":"x"}"#).contains("`first_name`, "));
}

#[test]
fn omitted_columns_get_their_default_and_the_key_stays() {
    let mapping = mapping(|_| ());
    let body = Bytes::from_static(br#"{"first_name":"Ada"}"#);
    let assignments = mapping.replace(&key(), &body, 0).unwrap();
    let statements = Statements::new(Dialect::Sqlite, &mapping);
    let (update, values) = statements.update(&assignments).unwrap();
    assert_eq!(
        update,
        "UPDATE `person` SET `first_name` = ?, `last_name` = NULL, `state` = ('new'), `version` = NULL \
         WHERE `id` = ?"
    );
    assert_eq!(values, [&Value::Text("Ada".into())]);
    let (insert, values) = statements.insert(&assignments, false);
    assert_eq!(insert, "INSERT INTO `person` (`id`, `first_name`) VALUES (?, ?)");
    assert_eq!(values, [&Value::Int(7), &Value::Text("Ada".into())]);
}

#[test]
fn a_refused_value_names_the_column_and_never_the_value() {
    let mapping = mapping(|_| ());
    assert_eq!(
        refused(&mapping, r#"{"frist_name":"secret"}"#),
        "table `person`: there is no column `frist_name`; the closest: `first_name`, `last_name`, `state`"
    );
    assert_eq!(
        refused(&mapping, r#"{"first_name":17}"#),
        "table `person`: column `first_name` takes a string"
    );
    assert!(refused(&mapping, r#"{"first_name":null}"#).contains("`first_name` takes a string"));
    assert!(refused(&mapping, r#"{"last_name":"x"}"#).contains("`first_name` is missing"));
    assert!(
        refused(&mapping, r#"{"first_name":"x","first_name":"y"}"#).contains("`first_name` is given twice")
    );
    assert!(refused(&mapping, r#"{"id":8,"first_name":"x"}"#).contains("`id` differs from the key"));
    for broken in ["", "[]", "\"secret\"", "{\"first_name\":secret}", "{} {}"] {
        let detail = refused(&mapping, broken);
        assert!(detail.contains("not one JSON object") && !detail.contains("secret"), "{detail}");
    }
}

#[test]
fn a_generated_column_must_say_what_the_row_says() {
    let mapping = mapping(|_| ());
    let body = Bytes::from_static(br#"{"first_name":"Ada","initial":"A"}"#);
    let assignments = mapping.replace(&key(), &body, 0).unwrap();
    assert!(assignments.columns.iter().all(|(place, _)| *place != 4));
    assert!(mapping.confirm(&assignments, |_| Cell::Text("A")).is_ok());
    let error = mapping.confirm(&assignments, |_| Cell::Text("B")).unwrap_err();
    assert!(error.detail().contains("`initial` is computed by the database"));
}

#[test]
fn a_version_column_counts_and_is_the_version() {
    let mapping = mapping(|settings| settings.version_column = Some("version".into()));
    let body = Bytes::from_static(br#"{"first_name":"Ada","version":99}"#);
    let assignments = mapping.replace(&key(), &body, 0).unwrap();
    assert_eq!(assignments.columns.last(), Some(&(5, Assignment::NextVersion)));
    let row = [Cell::Int(7), Cell::Text("A"), Cell::Null, Cell::Null, Cell::Null, Cell::Int(3)];
    assert_eq!(mapping.record(|at| row[at]).version.0, 3);
}

#[test]
fn a_raw_record_is_one_column_with_its_flags() {
    let mapping = mapping(|settings| {
        settings.format =
            Format::Raw { value_column: "last_name".into(), flags_column: Some("version".into()) };
    });
    let row = [Cell::Text("body"), Cell::Int(7), Cell::Int(5)];
    let record = mapping.record(|at| row[at]);
    assert_eq!((&record.value[..], record.flags), (&b"body"[..], 5));
    let assignments = mapping.replace(&key(), &Bytes::from_static(b"x"), 9).unwrap();
    let (text, values) = Statements::new(Dialect::Mariadb, &mapping).update(&assignments).unwrap();
    assert_eq!(text, "UPDATE `person` SET `last_name` = ?, `version` = ? WHERE `id` = ?");
    assert_eq!(values, [&Value::Text("x".into()), &Value::Int(9)]);
}

#[test]
fn a_new_row_s_key_is_given_or_left_to_the_database() {
    let mapping = mapping(|_| ());
    let create =
        |body: &'static str| mapping.create(&Bytes::from_static(body.as_bytes()), 0, Uuid::nil()).unwrap();
    assert_eq!(create(r#"{"first_name":"A"}"#).key, [None]);
    assert_eq!(create(r#"{"id":null,"first_name":"A"}"#).key, [None]);
    assert_eq!(create(r#"{"id":9,"first_name":"A"}"#).key, [Some(Value::Int(9))]);
}

#[test]
fn many_keys_are_one_statement() {
    let mapping = mapping(|settings| settings.columns = Some(vec!["last_name".into()]));
    let statements = Statements::new(Dialect::Mariadb, &mapping);
    assert_eq!(
        statements.select(2, Lock::Probe),
        "SELECT `last_name`, `id` FROM `person` FORCE INDEX (PRIMARY) WHERE `id` IN (?, ?) LOCK IN SHARE MODE NOWAIT"
    );
}

#[test]
fn a_mapping_onto_what_is_not_there_is_refused() {
    let mut settings = TableMapping::json("person");
    settings.version_column = Some("first_name".into());
    let error = Mapping::new(person(), &settings).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    settings.version_column = Some("nothing".into());
    assert!(Mapping::new(person(), &settings).unwrap_err().detail().contains("`nothing`"));
}
