// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes in two steps, their conditions and their cost.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use throughline_core::{Condition, Effect, ErrorKind, Key, Loader, Refusal, Retry, Version, Writer};
use throughline_sources::Password;
use throughline_sources::sql::TableMapping;

use crate::fixture::{
    Database, apply, config_of, create, delete, fill, intent, key, prepare, put, put_if, stored,
};
use crate::server::{
    MADE_KEYS, ON_UPDATE, VERSION, WRITE_COSTS, connect, joined, make_reader, write_round_trips,
};

/// What `value` is in each row of `t`.
fn all(database: &Database, value: &str) -> String {
    database.sql(&format!("select {} from t", joined(value, "id")))
}

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
    assert_eq!(all(&database, "v"), "old,then,old");
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
        let before = write_round_trips(&database.source);
        apply(&table, write).await.unwrap();
        costs.push(write_round_trips(&database.source) - before);
    }
    assert_eq!(costs, WRITE_COSTS);
}

#[tokio::test]
async fn a_put_replaces_the_whole_row() {
    let schema = format!(
        "create table t (id int primary key, a varchar(9) default 'dflt', b int, c int not null,
            made timestamp default '2001-01-01 00:00:00' {ON_UPDATE});
        insert into t values (1, 'x', 5, 6, '2020-01-01 00:00:00')"
    );
    let database = Database::new("writes_replace", &schema).await;
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
    let schema = format!(
        "create table t (id int primary key, v varchar(9), n {VERSION} not null default 0);
        insert into t values (1, 'old', 41)"
    );
    let database = Database::new("writes_version", &schema).await;
    let mut settings = TableMapping::json("t");
    settings.version_column = Some("n".into());
    let table = database.source.resource(&settings).await.unwrap();
    let unchanged = |version| Condition::Unchanged(vec![Version(version)]);
    assert_eq!(fill(&table, "1").await.record.unwrap().version, Version(41));
    let before = write_round_trips(&database.source);
    let effect = apply(&table, put_if("1", "{\"v\":\"new\"}", unchanged(41))).await.unwrap();
    assert_eq!(write_round_trips(&database.source) - before, WRITE_COSTS[0]);
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
    assert_eq!(all(&database, "concat(id, mail)"), "1geheim@example.org,2b");
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
    let (tables, made) = MADE_KEYS;
    let schema = format!("{tables} create table two (a int, b int, primary key (a, b))");
    let database = Database::new("writes_create", &schema).await;
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
    for name in made {
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
    assert_eq!(all(&database, "v"), "old,old,old");
    prepared.commit().await.unwrap();
    assert_eq!(all(&database, "concat(id, v)"), "1a,3old,4b");
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
    assert_eq!(all(&database, "v"), "new,new");
}

#[tokio::test]
async fn an_account_that_may_only_read_is_denied_its_writes() {
    let (database, _) = Database::with_rows("writes_denied", 1).await;
    make_reader(database.name, "reader", "reader-password");
    let mut config = config_of(&database.url);
    config.user = "reader".into();
    config.password = Password::new("reader-password");
    let source = connect(config).await.unwrap();
    let table = source.resource(&TableMapping::json("t")).await.unwrap();
    assert!(fill(&table, "1").await.fillable);
    let error = apply(&table, put("1", "{\"v\":\"new\"}")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.detail().contains("GRANT"), "{error}");
}
