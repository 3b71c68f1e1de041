// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every cell survives the way to JSON and back, whatever its column is declared as.

use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop, prop_oneof, proptest};
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};

use crate::fixture::{Database, apply, put, value};

const COLUMNS: &[(&str, &str)] = &[
    ("i", "INTEGER"),
    ("t", "VARCHAR(20)"),
    ("nc", "TEXT COLLATE NOCASE"),
    ("b", "BLOB"),
    ("r", "DOUBLE"),
    ("d", "DECIMAL(10,2)"),
    ("f", "BOOLEAN"),
    ("dt", "DATETIME"),
    ("x", ""),
    ("j", "JSON"),
];

/// A cell of any class.
#[derive(Clone, Debug)]
enum Stored {
    Null,
    Int(i64),
    Real(f64),
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

impl ToSql for Stored {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Real(number) => ValueRef::Real(*number),
            Self::Text(bytes) => ValueRef::Text(bytes),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "-?[0-9]{1,22}(\\.[0-9]{1,4})?(e[0-9]{1,3})?",
        "[{\\[\"nt0-9$: ,}\\]\\\\u]{0,12}",
        Just("null".to_owned()),
        Just("\"null\"".to_owned()),
        Just("{ \"$text\" : \"x\" }".to_owned()),
        Just("{\"\\u0024bytes\":\"AA==\"}".to_owned()),
        Just("{\"a\": [1.50, -0, 1e400, \"\\u00e9\\ud83d\\ude00\", {\"b\": null}], \"a\": 12345678901234567890123}".to_owned()),
        Just("2024-02-29 12:00:00".to_owned()),
        Just("Infinity".to_owned()),
    ]
}

fn cell() -> impl Strategy<Value = Stored> {
    prop_oneof![
        Just(Stored::Null),
        any::<i64>().prop_map(Stored::Int),
        (-2_i64..3).prop_map(Stored::Int),
        any::<f64>().prop_map(Stored::Real),
        (-9_i32..9).prop_map(|number| Stored::Real(f64::from(number) / 4.0)),
        prop_oneof![Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(9.3e18), Just(-0.0)]
            .prop_map(Stored::Real),
        text().prop_map(|text| Stored::Text(text.into_bytes())),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(Stored::Text),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(Stored::Blob),
    ]
}

fn schema() -> String {
    let columns: Vec<String> = COLUMNS.iter().map(|(name, declared)| format!("{name} {declared}")).collect();
    let columns = columns.join(", ");
    format!(
        "CREATE TABLE a (id INTEGER PRIMARY KEY, {columns}); CREATE TABLE b (id INTEGER PRIMARY KEY, {columns})"
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_cell_survives_the_way_to_json_and_back(
        rows in prop::collection::vec(prop::collection::vec(cell(), COLUMNS.len()), 1..20)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime can be made");
        runtime.block_on(survives(&rows));
    }
}

async fn survives(rows: &[Vec<Stored>]) {
    let database = Database::new(&schema());
    let (a, b) = (database.table("a"), database.table("b"));
    let other = database.other();
    let places = vec!["?"; COLUMNS.len()].join(", ");
    for row in rows {
        let insert = format!("INSERT INTO a VALUES (NULL, {places})");
        other.execute(&insert, rusqlite::params_from_iter(row)).expect("any cell can be stored");
    }
    for id in 1..=rows.len() {
        let id = id.to_string();
        let original = value(&a, &id).await.expect("the row was inserted");
        for _insert_then_update in 0..2 {
            apply(&b, put(&id, &original)).await.expect(&original);
            assert_eq!(value(&b, &id).await.as_ref(), Some(&original));
        }
    }
    for (name, _) in COLUMNS {
        // A document keeps its tokens but not the white space between them.
        let differs = if *name == "j" {
            "typeof(a.j) <> typeof(b.j)".to_owned()
        } else {
            format!(
                "typeof(a.{name}) <> typeof(b.{name}) OR hex(a.{name}) <> hex(b.{name}) OR a.{name} IS NOT b.{name}"
            )
        };
        let count = format!("SELECT count(*) FROM a JOIN b USING (id) WHERE {differs}");
        let count: i64 = other.query_row(&count, [], |row| row.get(0)).expect("the query is right");
        assert_eq!(count, 0, "{name}");
    }
}

#[tokio::test]
async fn cells_are_shown_as_their_column_means_them() {
    let database = Database::new(&schema());
    let other = database.other();
    other
        .execute_batch(
            "INSERT INTO a VALUES (1, 9223372036854775807, 'a', 'B', x'0001', 1, 1.50, 1, '2024-02-29', 1.0, '{ \"k\" : [ 1 ] }');
             INSERT INTO a VALUES (2, 'x', x'00', x'', 'text', 'y', 'n/a', 2, 1700000000, 'x', 'no json');
             INSERT INTO a (id) VALUES (3)",
        )
        .expect("the rows are right");
    let a = database.table("a");
    assert_eq!(
        value(&a, "1").await.as_deref(),
        Some(
            r#"{"id":1,"i":9223372036854775807,"t":"a","nc":"B","b":"AAE=","r":1.0,"d":1.5,"f":true,"dt":"2024-02-29","x":1.0,"j":{"k":[1]}}"#
        )
    );
    assert_eq!(
        value(&a, "2").await.as_deref(),
        Some(
            r#"{"id":2,"i":{"$text":"x"},"t":{"$bytes":"AA=="},"nc":{"$bytes":""},"b":{"$text":"text"},"r":{"$text":"y"},"d":{"$text":"n/a"},"f":{"$integer":2},"dt":1700000000,"x":"x","j":{"$text":"no json"}}"#
        )
    );
    assert_eq!(
        value(&a, "3").await.as_deref(),
        Some(
            r#"{"id":3,"i":null,"t":null,"nc":null,"b":null,"r":null,"d":null,"f":null,"dt":null,"x":null,"j":null}"#
        )
    );
}
