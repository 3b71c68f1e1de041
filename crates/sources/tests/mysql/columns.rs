// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every type of column survives the way to JSON and back.

use crate::fixture::{Database, apply, put, stored, value};

const COLUMNS: &str = "
    t1 tinyint, t2 tinyint unsigned, s smallint unsigned, m mediumint, i int, b bigint, u bigint unsigned,
    z int(8) unsigned zerofill, d decimal(65,30), dz decimal(9,2) zerofill, f float, g double, bit1 bit(1), bits bit(64),
    y year, dt date, ti time(6), ti0 time, dm datetime(6), dm0 datetime, ts timestamp(3) null,
    c char(5), vc varchar(50), tx longtext, bin binary(4), vb varbinary(20), bl longblob,
    e enum('a','b''c',''), st set('x','y','z'), j json, id4 uuid, ip inet6, p point,
    latin varchar(20) character set latin1, gen int as (i + 1) virtual, sto varchar(60) as (concat(vc, '!')) stored";

const ROWS: [&str; 4] = [
    "(1, -128, 255, 65535, -8388608, -2147483648, -9223372036854775808, 18446744073709551615,
      7, -12345678901234567890123456789012345.123456789012345678901234567891, 1.5, 0.1, 1.7976931348623157e308, b'1', x'ffffffffffffffff',
      2155, '9999-12-31', '-838:59:58.999999', '838:59:59', '1000-01-01 00:00:00.000001', '9999-12-31 23:59:59', '2038-01-19 03:14:07.999',
      'ab', 'grüße 😀 \"quoted\\\\ :%', '', x'00ff0000', x'0000ff', x'00',
      'b\\'c', 'x,z', '{\"a\": [1.50, null, \"\\\\u00e9\"], \"b\": {}}', '0192f0c1-2345-7abc-8def-0123456789ab', '2001:db8::1', point(1, 2), 'é')",
    "(2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, b'0', 0, 0, '0000-00-00', '00:00:00', '00:00:00', '0000-00-00 00:00:00', '2024-02-29 12:00:00', '1970-01-01 00:00:01',
      '', '', ' ', '', '', '', '', '', 'null', '00000000-0000-0000-0000-000000000000', '::', point(0, 0), '')",
    "(3, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null,
      null, null, null, null, null, null, null, null, null, null, null, null, null)",
    "(4, 1, 1, 1, 1, 2147483646, 9223372036854775807, 9223372036854775808, 99999999, 0.000000000000000000000000000001, 0.05, 3.4028235e38, -5e-324, b'1', 1,
      1901, '2024-02-29', '00:00:00.5', '-00:00:01', '2024-02-29 12:34:56.5', '2024-01-01 00:00:00', '2024-01-01 00:00:00',
      'a  b', 'line\\nbreak\\ttab\\0nul', repeat('x', 100000), 'abcd', 'text', repeat(x'ff', 70000),
      'a', 'x,y,z', '[]', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '::ffff:1.2.3.4', point(-1.5, 1e300), 'x')",
];

#[tokio::test]
async fn every_type_survives_the_way_to_json_and_back() {
    let names = "id, t1, t2, s, m, i, b, u, z, d, dz, f, g, bit1, bits, y, dt, ti, ti0, dm, dm0, ts, c, vc, tx, bin, vb, bl, \
        e, st, j, id4, ip, p, latin";
    let schema = format!(
        "set sql_mode = ''; set time_zone = '+00:00'; create table a (id int primary key, {COLUMNS});
         insert into a ({names}) values {}; create table b like a",
        ROWS.join(", ")
    );
    let database = Database::new("columns_all", &schema).await;
    let (a, b) = (database.table("a").await, database.table("b").await);
    for id in ["1", "2", "3", "4"] {
        let original = value(&a, id).await.expect("the row was inserted");
        let inserted = apply(&b, put(id, &original)).await.expect(&original);
        assert_eq!(stored(&inserted), (id.into(), original.clone(), true));
        let updated = apply(&b, put(id, &original)).await.expect(&original);
        assert_eq!(stored(&updated), (id.into(), original.clone(), false));
        assert_eq!(value(&b, id).await, Some(original));
    }
    for name in names.split(", ") {
        // A document keeps its tokens but not the white space between them.
        let shown = if name == "j" { "json_compact" } else { "hex" };
        let differing = format!(
            "select count(*) from a join b using (id) where not ({shown}(a.{name}) <=> {shown}(b.{name}))"
        );
        assert_eq!(database.sql(&differing), "0", "{name}");
    }
}

#[tokio::test]
async fn values_are_shown_as_the_database_means_them() {
    let schema = "create table a (id bigint unsigned primary key, d decimal(65,30), dm datetime(6), ts timestamp(2) null,
            e varchar(5), n varchar(5), vb varbinary(5), j json, bt bit(9), em text, f float);
        set time_zone = '+00:00';
        insert into a values (18446744073709551615, 1.5, '2024-02-29 12:34:56.789', '2024-02-29 12:34:56.5', '', null, x'0001',
            '{\"b\": 1, \"a\": [ ]}', 257, '😀', 0.1)";
    let database = Database::new("columns_shown", schema).await;
    let table = database.table("a").await;
    assert_eq!(
        value(&table, "18446744073709551615").await.unwrap(),
        "{\"id\":18446744073709551615,\"d\":1.500000000000000000000000000000,\"dm\":\"2024-02-29 12:34:56.789000\",\
         \"ts\":\"2024-02-29 12:34:56.50\",\"e\":\"\",\"n\":null,\"vb\":\"AAE=\",\"j\":{\"b\":1,\"a\":[]},\"bt\":257,\
         \"em\":\"😀\",\"f\":0.1}"
    );
}
