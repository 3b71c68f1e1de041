// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes in two steps, their conditions and their cost.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use throughline_core::{Condition, Effect, ErrorKind, Key, Loader, Refusal, Retry, Version, Writer};
use throughline_sources::postgres::{Password, PostgresSource};
use throughline_sources::sql::TableMapping;
use throughline_testkit::TestTasks;

use crate::fixture::{
    Database, apply, config_of, create, delete, fill, intent, key, prepare, put, put_if, stored, value,
};

#[tokio::test]
async fn nothing_is_visible_before_the_commit() {
    let (database, table) = Database::with_rows("writes_visible", 3).await;
    let prepared = prepare(&table, put("1", "{\"v\":\"new\"}")).await.unwrap();
    assert_eq!(stored(&prepared.effects()[0]), ("1".into(), "{\"id\":1,\"v\":\"new\"}".into(), false));
    assert_eq!(database.sql("select v from t where id = 1"), "old");
    assert!(!fill(&table, "1").await.fillable);
    prepared.commit().await.unwrap();
    assert_eq!(database.sql("select v from t where id = 1"), "new");
    assert!(fill(&table, "1").await.fillable);
}

#[tokio::test]
async fn a_prepared_write_that_is_dropped_or_rolled_back_never_happened() {
    let (database, table) = Database::with_rows("writes_dropped", 3).await;
    prepare(&table, put("1", "{\"v\":\"new\"}")).await.unwrap().roll_back().await.unwrap();
    assert!(fill(&table, "1").await.fillable, "a finished roll-back holds no lock");
    drop(prepare(&table, delete("2", Condition::Always)).await.unwrap());
    // Waits for the lock of the write that is being rolled back.
    apply(&table, put("2", "{\"v\":\"then\"}")).await.unwrap();
    assert_eq!(database.sql("select string_agg(v::text, ',' order by id) from t"), "old,then,old");
}

#[tokio::test]
async fn a_prepare_that_is_dropped_holds_no_lock_for_long() {
    let (_database, table) = Database::with_rows("writes_unprepared", 50).await;
    for id in 1..=50 {
        let write = put(&id.to_string(), "{\"v\":\"never\"}");
        let _ = tokio::time::timeout(Duration::from_micros(20 * id), prepare(&table, write)).await;
    }
    for id in 1..=50 {
        let effect = apply(&table, put(&id.to_string(), "{\"v\":\"new\"}")).await.unwrap();
        assert!(!stored(&effect).2);
    }
}

#[tokio::test]
async fn a_commit_takes_place_although_its_caller_leaves() {
    let (database, table) = Database::with_rows("writes_left", 1).await;
    let prepared = prepare(&table, put("1", "{\"v\":\"new\"}")).await.unwrap();
    assert!(prepared.commit().now_or_never().is_none(), "polled once and dropped");
    while database.sql("select v from t") != "new" {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_prepared_write_lives_for_a_bounded_time() {
    let schema = "create table t (id int primary key, v varchar(9))";
    let database = Database::with_config("writes_life", schema, |config| config.prepared_life_ms = 100).await;
    let table = database.table("t").await;
    let first = prepare(&table, put("1", "{\"v\":\"a\"}")).await.unwrap();
    // Waits for the first one's lock, which goes with its life.
    let second = prepare(&table, put("1", "{\"v\":\"b\"}")).await.unwrap();
    let error = first.commit().await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Timeout, Retry::Safe));
    second.commit().await.unwrap();
    assert_eq!(database.sql("select v from t"), "b");
}

#[tokio::test]
async fn a_plain_write_costs_at_most_three_round_trips() {
    let (database, table) = Database::with_rows("writes_cost", 3).await;
    let mut costs = Vec::new();
    for write in [
        put("1", "{\"v\":\"new\"}"),
        put("9", "{\"v\":\"new\"}"),
        put_if("10", "{\"v\":\"new\"}", Condition::Absent),
        delete("1", Condition::Always),
    ] {
        let before = database.source.stats().write_round_trips;
        apply(&table, write).await.unwrap();
        costs.push(database.source.stats().write_round_trips - before);
    }
    // UPDATE and COMMIT; the same with an INSERT between; INSERT and COMMIT; DELETE and COMMIT.
    assert_eq!(costs, [2, 3, 2, 2]);
}

#[tokio::test]
async fn a_put_replaces_the_whole_row() {
    let schema = "create table t (id int primary key, a varchar(9) default 'dflt', b int, c int not null,
            made timestamp default '2001-01-01 00:00:00');
        insert into t values (1, 'x', 5, 6, '2020-01-01 00:00:00')";
    let database = Database::new("writes_replace", schema).await;
    let table = database.table("t").await;
    let effect = apply(&table, put("1", "{\"c\":7}")).await.unwrap();
    let row = "{\"id\":1,\"a\":\"dflt\",\"b\":null,\"c\":7,\"made\":\"2001-01-01 00:00:00\"}";
    assert_eq!(stored(&effect), ("1".into(), row.into(), false));
    for (body, part) in [("{}", "`c` is missing"), ("{\"id\":2,\"c\":1}", "differs from the key")] {
        let error = apply(&table, put("1", body)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidValue);
        assert!(error.detail().contains(part), "{error}");
    }
}

#[tokio::test]
async fn conditions_are_decided_under_the_lock() {
    let (database, table) = Database::with_rows("writes_conditions", 1).await;
    let new = "{\"v\":\"new\"}";
    let refused = async |write| match apply(&table, write).await.unwrap() {
        Effect::Refused(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    };
    assert_eq!(refused(put_if("1", new, Condition::Absent)).await, Refusal::Exists);
    assert_eq!(refused(put_if("2", new, Condition::Present)).await, Refusal::Absent);
    assert_eq!(refused(delete("2", Condition::Always)).await, Refusal::Absent);
    assert_eq!(refused(delete("1", Condition::Absent)).await, Refusal::Exists);
    let unchanged = |versions: &[u64]| Condition::Unchanged(versions.iter().map(|n| Version(*n)).collect());
    assert_eq!(refused(put_if("2", new, unchanged(&[1]))).await, Refusal::Absent);
    let version = fill(&table, "1").await.record.unwrap().version;
    assert_eq!(refused(put_if("1", new, unchanged(&[1]))).await, Refusal::Conflict(version));
    assert_eq!(refused(delete("1", unchanged(&[1]))).await, Refusal::Conflict(version));
    assert_eq!(database.sql("select * from t"), "1\told");
    let effect = apply(&table, put_if("1", new, unchanged(&[1, version.0]))).await.unwrap();
    assert!(!stored(&effect).2);
    let version = fill(&table, "1").await.record.unwrap().version;
    let effect = apply(&table, delete("1", unchanged(&[version.0]))).await.unwrap();
    assert_eq!(effect, Effect::Deleted { key: key("1") });
    assert_eq!(database.sql("select count(*) from t"), "0");
}

#[tokio::test]
async fn a_version_column_decides_and_spares_a_round_trip() {
    let schema = "create table t (id int primary key, v varchar(9), n bigint not null default 0);
        insert into t values (1, 'old', 41)";
    let database = Database::new("writes_version", schema).await;
    let mut settings = TableMapping::json("t");
    settings.version_column = Some("n".into());
    let table = database.source.resource(&settings).await.unwrap();
    let unchanged = |version| Condition::Unchanged(vec![Version(version)]);
    assert_eq!(fill(&table, "1").await.record.unwrap().version, Version(41));
    let before = database.source.stats().write_round_trips;
    let effect = apply(&table, put_if("1", "{\"v\":\"new\"}", unchanged(41))).await.unwrap();
    assert_eq!(database.source.stats().write_round_trips - before, 2);
    assert_eq!(stored(&effect).1, "{\"id\":1,\"v\":\"new\",\"n\":42}");
    let effect = apply(&table, put_if("1", "{\"v\":\"late\"}", unchanged(41))).await.unwrap();
    assert_eq!(effect, Effect::Refused(Refusal::Conflict(Version(42))));
    let effect = apply(&table, put_if("2", "{\"v\":\"late\"}", unchanged(41))).await.unwrap();
    assert_eq!(effect, Effect::Refused(Refusal::Absent));
}

#[tokio::test]
async fn another_unique_index_is_a_constraint_and_changes_no_other_row() {
    let schema = "create table t (id int primary key, mail varchar(50), constraint by_mail unique (mail));
        insert into t values (1, 'geheim@example.org'), (2, 'b')";
    let database = Database::new("writes_unique", schema).await;
    let table = database.table("t").await;
    for id in ["2", "3"] {
        let write = put(id, "{\"mail\":\"geheim@example.org\"}");
        let error = apply(&table, write).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Constraint);
        assert!(error.detail().contains("`by_mail`"), "{error}");
        assert!(!format!("{error:?}").contains("geheim"));
    }
    assert_eq!(
        database.sql("select string_agg(concat(id, mail), ',' order by id) from t"),
        "1geheim@example.org,2b"
    );
    apply(&table, put("2", "{\"mail\":\"c\"}")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn racing_puts_of_a_new_row_all_succeed() {
    let (database, table) = Database::with_rows("writes_race", 1).await;
    for id in 10..30 {
        let id = id.to_string();
        let puts = (0..4).map(|_| apply(&table, put(&id, "{\"v\":\"x\"}")));
        let effects: Vec<Effect> = join_all(puts).await.into_iter().map(Result::unwrap).collect();
        let created = effects.iter().filter(|effect| stored(effect).2).count();
        assert_eq!(created, 1, "{effects:?}");
    }
    assert_eq!(database.sql("select count(*) from t"), "21");
}

#[tokio::test]
async fn a_new_row_gets_its_key_from_the_value_the_database_or_us() {
    let schema = "create table num (id bigint generated always as identity (start 40) primary key, v int);
        create table ser (id serial primary key, v int);
        create table txt (id text primary key, v int);
        create table bin (id bytea primary key, v int);
        create table uid (id uuid primary key default gen_random_uuid(), v int);
        create table two (a int, b int, primary key (a, b))";
    let database = Database::new("writes_create", schema).await;
    let num = database.table("num").await;
    let effect = apply(&num, create("{\"v\":1}")).await.unwrap();
    assert_eq!(stored(&effect), ("40".into(), "{\"id\":40,\"v\":1}".into(), true));
    assert_eq!(stored(&apply(&num, create("{\"id\":7}")).await.unwrap()).0, "7");
    assert_eq!(apply(&num, create("{\"id\":7}")).await.unwrap(), Effect::Refused(Refusal::Exists));
    assert_eq!(
        stored(&apply(&num, put("0", "{\"v\":2}")).await.unwrap()).0,
        "0",
        "0 is a key like any other"
    );
    for name in ["txt", "bin", "uid", "ser"] {
        let table = database.table(name).await;
        let (made, json, _) = stored(&apply(&table, create("{\"v\":1}")).await.unwrap());
        let loaded = table.load(&Key::parse(&made).unwrap(), intent(true)).await.unwrap();
        assert_eq!(loaded.record.unwrap().value, json, "{name}");
    }
    let version: String = database.sql("select substr(id, 15, 1) from txt");
    assert_eq!(version, "7");
    let two = database.table("two").await;
    assert_eq!(stored(&apply(&two, create("{\"a\":1,\"b\":2}")).await.unwrap()).0, "1:2");
    assert!(!stored(&apply(&two, put("1:2", "{}")).await.unwrap()).2, "nothing but a key");
    assert_eq!(apply(&two, create("{\"a\":1}")).await.unwrap_err().kind(), ErrorKind::InvalidValue);
}

#[tokio::test]
async fn several_writes_are_one_transaction() {
    let (database, table) = Database::with_rows("writes_several", 3).await;
    let writes = [
        put("1", "{\"v\":\"a\"}"),
        delete("2", Condition::Always),
        put_if("3", "{\"v\":\"no\"}", Condition::Absent),
        create("{\"id\":4,\"v\":\"b\"}"),
    ];
    let prepared = table.prepare(&writes).await.unwrap();
    assert_eq!(prepared.effects().len(), 4);
    assert_eq!(prepared.effects()[2], Effect::Refused(Refusal::Exists));
    assert_eq!(database.sql("select string_agg(v::text, ',' order by id) from t"), "old,old,old");
    prepared.commit().await.unwrap();
    assert_eq!(database.sql("select string_agg(concat(id, v), ',' order by id) from t"), "1a,3old,4b");
    let writes = [put("1", "{\"v\":\"c\"}"), put("3", "{\"v\":\"x\",\"w\":1}")];
    assert_eq!(table.prepare(&writes).await.unwrap_err().kind(), ErrorKind::InvalidValue);
    let writes = vec![put("1", "{\"v\":\"c\"}"); 257];
    assert_eq!(table.prepare(&writes).await.unwrap_err().kind(), ErrorKind::TooLarge);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn deadlocks_are_begun_anew() {
    let (database, table) = Database::with_rows("writes_deadlock", 2).await;
    for _ in 0..20 {
        let orders = [["1", "2"], ["2", "1"]].map(async |keys| {
            let writes = keys.map(|key| put(key, "{\"v\":\"new\"}"));
            table.prepare(&writes).await?.commit().await
        });
        for order in join_all(orders).await {
            order.unwrap();
        }
    }
    assert_eq!(database.sql("select string_agg(v, ',') from t"), "new,new");
}

#[tokio::test]
async fn an_account_that_may_only_read_is_denied_its_writes() {
    let (database, table) = Database::with_rows("writes_denied", 1).await;
    assert!(table.may_write());
    database.sql("create role reader login password 'reader-password'; grant select on t to reader");
    let mut config = config_of(&database.url);
    config.user = "reader".into();
    config.password = Password::new("reader-password");
    let source = PostgresSource::connect(config, Arc::new(TestTasks)).await.unwrap();
    let table = source.resource(&TableMapping::json("t")).await.unwrap();
    assert!(!table.may_write());
    assert!(fill(&table, "1").await.fillable, "a probe needs no right");
    let error = apply(&table, put("1", "{\"v\":\"new\"}")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.detail().contains("GRANT"), "{error}");
}

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
