// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every type of column survives the way to JSON and back.

use crate::fixture::{Database, apply, put, stored, value};

const TYPES: &str = "
    create type mood as enum ('so so', 'it''s \"ok\"', '');
    create type pair as (a int, b text);
    create domain amount as numeric check (value is null or value > -1e300);
    create schema elsewhere; create extension citext schema elsewhere; create extension hstore;";

/// Names and types of columns, each with the values that are tried.
const COLUMNS: &[(&str, &str, &[&str])] = &[
    ("i2", "smallint", &["-32768", "0", "32767"]),
    ("i4", "int", &["-2147483648", "2147483647"]),
    ("i8", "bigint", &["-9223372036854775808", "9223372036854775807"]),
    (
        "n",
        "numeric",
        &[
            "-12345678901234567890123456789012345678901234567890.123456789012345678901234567890",
            "0.00",
            "'NaN'",
            "'Infinity'",
            "'-Infinity'",
            "1e100",
        ],
    ),
    ("n2", "numeric(9,2)", &["1.50", "-0.01"]),
    ("f4", "real", &["0.1", "3.4028235e38", "'NaN'", "'-Infinity'", "1e-45"]),
    ("f8", "double precision", &["0.1", "1.7976931348623157e308", "5e-324", "'-0'", "'NaN'", "'Infinity'"]),
    ("b", "boolean", &["true", "false"]),
    (
        "t",
        "text",
        &["''", "'grüße 😀 \"quoted\" \\ :%'", "E'line\\nbreak\\ttab\\x01'", "repeat('x', 100000)"],
    ),
    ("vc", "varchar(5)", &["'ab'", "'a  '"]),
    ("ch", "char(5)", &["'ab'", "''"]),
    ("nm", "name", &["'a name'"]),
    ("qc", "\"char\"", &["'x'"]),
    ("ci", "elsewhere.citext", &["'MiXed'"]),
    ("by", "bytea", &["''", "'\\x0000ff'", "decode(repeat('ff', 70000), 'hex')"]),
    ("d", "date", &["'0044-03-15 BC'", "'9999-12-31'", "'infinity'", "'-infinity'"]),
    ("ti", "time", &["'23:59:59.999999'", "'24:00'"]),
    ("tz", "timetz", &["'23:59:59.999999+15:59'"]),
    (
        "ts",
        "timestamp",
        &[
            "'2024-02-29 12:34:56.789'",
            "'4713-01-01 00:00:00 BC'",
            "'294276-12-31 23:59:59.999999'",
            "'infinity'",
        ],
    ),
    (
        "tstz",
        "timestamptz",
        &["'2024-02-29 12:34:56.7+05:30'", "'-infinity'", "'1600-01-01 00:00:00.000001+00'"],
    ),
    ("iv", "interval", &["'-1 year 2 days -03:04:05.000006'", "'178000000 years'", "'0'"]),
    ("u", "uuid", &["'0192F0C1-2345-7ABC-8DEF-0123456789AB'"]),
    ("j", "json", &["'{ \"a\": [1.50, null], \"a\": 1e400 }'", "'null'", "'\"x\"'", "'{\"$text\": 1}'"]),
    ("jb", "jsonb", &["'{\"b\": 1.50, \"a\": [], \"n\": 12345678901234567890.123}'", "'null'", "'\"é😀\"'"]),
    ("e", "mood", &["'so so'", "'it''s \"ok\"'", "''"]),
    ("dm", "amount", &["7.10"]),
    ("bt", "bit(3)", &["B'101'"]),
    ("vb", "varbit", &["B''", "B'1011'"]),
    ("ip", "inet", &["'192.168.0.1'", "'10.0.0.0/8'", "'2001:db8::1/64'"]),
    ("ci4", "cidr", &["'10.0.0.0/8'"]),
    ("mac", "macaddr", &["'08:00:2b:01:02:03'"]),
    ("mo", "money", &["'-12345.67'"]),
    ("o", "oid", &["4294967295"]),
    ("po", "point", &["'(1.5,-2e300)'"]),
    ("bx", "box", &["'(3,4),(1,2)'"]),
    ("r", "int4range", &["'[1,5)'", "'empty'", "'(,7]'"]),
    ("mr", "nummultirange", &["'{[1.5,2),[3,4]}'"]),
    ("tv", "tsvector", &["'a:1 b:2A ''c d''':: tsvector"]),
    ("ro", "pair", &["(1, 'a,\"b\" c')::pair", "(null, '')::pair"]),
    ("hs", "hstore", &["'a=>1, \"b c\"=>NULL'"]),
    ("x", "xml", &["'<a>b</a>'"]),
    ("ai", "int[]", &["'{}'", "'{1,NULL,-3}'", "'{{1,2},{3,4}}'", "'[0:1]={7,8}'"]),
    ("at", "text[]", &["array['a b', 'c\"d', 'e\\f', '', 'NULL', null, '{x,y}', E'\\n']"]),
    ("an", "numeric[]", &["'{1.50,NaN,Infinity}'"]),
    ("af", "float8[]", &["'{0.1,-Infinity,1e300}'"]),
    ("ab", "bool[]", &["'{t,f,NULL}'"]),
    ("ay", "bytea[]", &["array['\\x00ff'::bytea, '']"]),
    ("au", "uuid[]", &["'{0192f0c1-2345-7abc-8def-0123456789ab}'"]),
    ("ad", "timestamptz[]", &["'{2024-02-29 12:00:00+00,infinity}'"]),
    ("ae", "mood[]", &["array['so so', 'it''s \"ok\"', '']::mood[]"]),
    ("aj", "jsonb[]", &["array['[1,2]'::jsonb, '{\"a\":1}', null]"]),
    ("abx", "box[]", &["'{(3,4),(1,2);(5,6),(1,1)}'"]),
];

#[tokio::test]
async fn every_type_survives_the_way_to_json_and_back() {
    let columns: Vec<String> = COLUMNS.iter().map(|(name, kind, _)| format!("{name} {kind}")).collect();
    let mut schema = format!("{TYPES} create table a (id int primary key, {});", columns.join(", "));
    schema.push_str(" create table b (like a including all);");
    let mut count = 0;
    for (name, _, values) in COLUMNS {
        for value in *values {
            count += 1;
            schema.push_str(&format!(" insert into a (id, {name}) values ({count}, {value});"));
        }
    }
    // The texts of types must not depend on what an account has set.
    schema.push_str(
        " alter database columns_all set datestyle = 'German'; alter database columns_all set timezone = 'Asia/Kolkata';
         alter database columns_all set intervalstyle = 'iso_8601'; alter database columns_all set bytea_output = 'escape';
         alter database columns_all set extra_float_digits = 0; alter database columns_all set search_path = elsewhere, public",
    );
    let database = Database::new("columns_all", &schema).await;
    let (a, b) = (database.table("a").await, database.table("b").await);
    for id in 1..=count {
        let id = id.to_string();
        let original = value(&a, &id).await.expect("the row was inserted");
        let inserted = apply(&b, put(&id, &original)).await.expect(&original);
        assert_eq!(stored(&inserted), (id.clone(), original.clone(), true));
        let updated = apply(&b, put(&id, &original)).await.expect(&original);
        assert_eq!(stored(&updated), (id.clone(), original.clone(), false));
        assert_eq!(value(&b, &id).await, Some(original));
    }
    for (name, _, _) in COLUMNS {
        // A document keeps its tokens but not the white space between them.
        let binary = |table: &str| match *name {
            "j" => format!("regexp_replace({table}.j::text, '\\s', '', 'g')"),
            _ => format!("{table}.{name}::text"),
        };
        let differing = format!(
            "select count(*) from a join b using (id) where {} is distinct from {}",
            binary("a"),
            binary("b")
        );
        assert_eq!(database.sql(&differing), "0", "{name}");
    }
}

#[tokio::test]
async fn values_are_shown_as_the_database_means_them() {
    let schema = "create type mood as enum ('good');
        create table a (id bigint primary key, n numeric, f real, b boolean, ts timestamp, tz timestamptz, d date,
            iv interval, u uuid, by bytea, j jsonb, m mood, c char(4), x int[], y text[], g int generated always as (7) stored);
        insert into a values (9223372036854775807, 1.50, 0.1, true, '2024-02-29 12:34:56.789', '2024-02-29 12:34:56+02',
            '2024-02-29', '1 day 02:00', '0192F0C1-2345-7ABC-8DEF-0123456789AB', '\\x0001', '{\"b\": 1, \"a\": [ ]}', 'good', 'ab',
            '{{1,2},{3,NULL}}', '{a,NULL}')";
    let database = Database::new("columns_shown", schema).await;
    let table = database.table("a").await;
    assert_eq!(
        value(&table, "9223372036854775807").await.unwrap(),
        "{\"id\":9223372036854775807,\"n\":1.50,\"f\":0.1,\"b\":true,\"ts\":\"2024-02-29 12:34:56.789\",\
         \"tz\":\"2024-02-29 10:34:56+00\",\"d\":\"2024-02-29\",\"iv\":\"1 day 02:00:00\",\
         \"u\":\"0192f0c1-2345-7abc-8def-0123456789ab\",\"by\":\"AAE=\",\"j\":{\"a\":[],\"b\":1},\"m\":\"good\",\
         \"c\":\"ab\",\"x\":[[1,2],[3,null]],\"y\":[\"a\",null],\"g\":7}"
    );
}
