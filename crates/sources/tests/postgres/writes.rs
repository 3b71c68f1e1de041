// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes in two steps, their conditions and their cost.

use throughline_core::{ErrorKind, Loader};
use throughline_sources::Password;
use throughline_sources::sql::TableMapping;

use crate::fixture::{Database, apply, config_of, fill, intent, key, prepare, put, stored, value};
use crate::server::{connect, make_reader};

#[tokio::test]
async fn a_table_whose_writes_cannot_be_told_is_read_but_not_written() {
    let schema = "create table a (id int primary key, v int); insert into a values (1, 2);
        create rule r as on update to a do instead nothing;
        create table b (id int primary key deferrable, v int); insert into b values (1, 2)";
    let database = Database::new("writes_rules", schema).await;
    for (name, part) in [("a", "rules"), ("b", "DEFERRABLE")] {
        let table = database.table(name).await;
        assert_eq!(value(&table, "1").await.as_deref(), Some("{\"id\":1,\"v\":2}"));
        let error = apply(&table, put("1", "{\"v\":3}")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ReadOnly);
        assert!(error.detail().contains(part), "{error}");
        assert!(table.strict_obstacle().unwrap().contains(part));
    }
}

#[tokio::test]
async fn triggers_and_computed_columns_are_seen_in_the_record() {
    let schema = "create table t (id int primary key, v varchar(9), g varchar(20) generated always as (v || '!') stored,
            n int generated always as identity, seen int default 0);
        create function before() returns trigger language plpgsql as $$ begin
            new.v := case tg_op when 'INSERT' then upper(new.v) else reverse(new.v) end; return new; end $$;
        create function after() returns trigger language plpgsql as $$ begin
            if pg_trigger_depth() = 1 then update t set seen = t.seen + 1, v = reverse(v) where id = new.id; end if;
            return null; end $$;
        create trigger a before insert or update on t for each row execute function before();
        create trigger b after insert or update on t for each row execute function after()";
    let database = Database::new("writes_trigger", schema).await;
    let table = database.table("t").await;
    for body in ["{\"v\":\"abc\"}", "{\"v\":\"abc\",\"n\":1}"] {
        let (_, json, _) = stored(&apply(&table, put("1", body)).await.unwrap());
        assert!(json.contains("\"seen\":1"), "the row as it is behind the last trigger: {json}");
        assert_eq!(value(&table, "1").await, Some(json));
    }
    let before = database.sql("select * from t");
    for wrong in ["{\"v\":\"a\",\"g\":\"wrong\"}", "{\"v\":\"a\",\"n\":7}"] {
        let error = apply(&table, put("1", wrong)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidValue);
    }
    assert_eq!(database.sql("select * from t"), before);
    assert!(database.source.hidden_changes().iter().any(|hidden| hidden.table == "t"));
}

#[tokio::test]
async fn a_deferred_constraint_that_refuses_the_commit_is_a_constraint() {
    let schema = "create table p (id int primary key);
        create table t (id int primary key, p int references p deferrable initially deferred)";
    let database = Database::new("writes_deferred", schema).await;
    let table = database.table("t").await;
    let prepared = prepare(&table, put("1", "{\"p\":9}")).await.unwrap();
    let error = prepared.commit().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Constraint);
    assert_eq!(database.sql("select count(*) from t"), "0");
    apply(&table, put("1", "{}")).await.unwrap();
}

#[tokio::test]
async fn errors_name_columns_and_constraints_and_show_no_values() {
    let schema = "create table p (id int primary key); insert into p values (1);
        create domain short as text check (length(value) < 5);
        create table t (id int primary key, a varchar(3), b numeric(4, 2), c date, d int not null default 0,
            e int references p, f int constraint small check (f < 10), g jsonb, h short, i text[])";
    let database = Database::new("writes_errors", schema).await;
    let table = database.table("t").await;
    for (body, kind, part) in [
        ("{\"a\":\"geheim\"}", ErrorKind::InvalidValue, "too long"),
        ("{\"b\":12345}", ErrorKind::InvalidValue, "out of range"),
        ("{\"c\":\"geheim\"}", ErrorKind::InvalidValue, "does not fit its type"),
        ("{\"c\":\"2024-02-31\"}", ErrorKind::InvalidValue, "out of range"),
        ("{\"d\":null}", ErrorKind::InvalidValue, "`d`"),
        ("{\"e\":9}", ErrorKind::Constraint, "t_e_fkey"),
        ("{\"f\":99}", ErrorKind::Constraint, "`small`"),
        ("{\"g\":{\"geheim\":\"\\u0000\"}}", ErrorKind::InvalidValue, "cannot store"),
        ("{\"a\":\"\\u0000\"}", ErrorKind::InvalidValue, "`a`"),
        ("{\"h\":\"geheim\"}", ErrorKind::Constraint, "check"),
        ("{\"i\":[1]}", ErrorKind::InvalidValue, "`i` takes an array"),
        ("{\"i\":[[\"a\"],[\"b\",\"c\"]]}", ErrorKind::InvalidValue, "does not fit"),
    ] {
        let error = apply(&table, put("1", body)).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{body}: {error}");
        assert!(error.detail().contains(part), "{body}: {error}");
        assert!(!format!("{error} {error:?}").contains("geheim"), "{error:?}");
    }
    assert_eq!(database.sql("select count(*) from t"), "0");
    database.sql("drop table t cascade");
    let error = apply(&table, put("1", "{}")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    let error = table.load(&key("1"), intent(true)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
}

#[tokio::test]
async fn a_table_that_is_altered_while_it_is_served_goes_on() {
    let schema = "create table t (id int primary key, v bytea, w int); insert into t values (1, '\\x00', 2)";
    let database = Database::new("writes_altered", schema).await;
    let table = database.table("t").await;
    let shown = "{\"id\":1,\"v\":\"AA==\",\"w\":2}";
    assert_eq!(value(&table, "1").await.as_deref(), Some(shown));
    apply(&table, put("1", shown)).await.unwrap();
    database.sql("alter table t alter w type bigint, add x int");
    assert_eq!(value(&table, "1").await.as_deref(), Some(shown));
    apply(&table, put("1", "{\"v\":\"AQ==\",\"w\":9000000000}")).await.unwrap_err();
    apply(&table, put("1", shown)).await.unwrap();
    // What no longer is what the catalogue said is told, and never taken for null.
    database.sql("alter table t alter v type text using 'x'");
    let error = table.load(&key("1"), intent(true)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    let error = apply(&table, put("1", shown)).await.unwrap_err();
    assert!([ErrorKind::Configuration, ErrorKind::InvalidValue].contains(&error.kind()), "{error}");
    assert_eq!(database.sql("select v from t"), "x");
}

#[tokio::test]
async fn an_account_is_told_whether_it_may_write() {
    let (database, table) = Database::with_rows("writes_rights", 1).await;
    assert!(table.may_write());
    make_reader(database.name, "onlooker", "onlooker-password");
    let mut config = config_of(&database.url);
    config.user = "onlooker".into();
    config.password = Password::new("onlooker-password");
    let table = connect(config).await.unwrap().resource(&TableMapping::json("t")).await.unwrap();
    assert!(!table.may_write());
    assert!(fill(&table, "1").await.fillable, "a probe needs no right");
}
