// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes in two steps, their conditions and their cost.

use throughline_core::{ErrorKind, Retry};

use crate::fixture::{Database, apply, put, stored, value};

#[tokio::test]
async fn a_lock_that_another_holds_is_a_time_out_that_may_be_repeated() {
    let (database, table) = Database::with_rows("writes_locked", 1).await;
    let mut stranger = database.stranger().await;
    stranger.run("begin").await;
    stranger.run("update t set v = 'x'").await;
    let error = apply(&table, put("1", "{\"v\":\"new\"}")).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Timeout, Retry::Safe));
    stranger.run("rollback").await;
    apply(&table, put("1", "{\"v\":\"new\"}")).await.unwrap();
}

#[tokio::test]
async fn a_table_without_transactions_is_read_but_not_written() {
    let schema = "create table t (id int primary key, v int) engine = myisam; insert into t values (1, 2)";
    let database = Database::new("writes_myisam", schema).await;
    let table = database.table("t").await;
    assert_eq!(value(&table, "1").await.as_deref(), Some("{\"id\":1,\"v\":2}"));
    let error = apply(&table, put("1", "{\"v\":3}")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly);
    assert!(error.detail().contains("ENGINE = InnoDB"), "{error}");
}

#[tokio::test]
async fn triggers_and_computed_columns_are_seen_in_the_record() {
    let schema =
        "create table t (id int primary key, v varchar(9), g varchar(20) as (concat(v, '!')) virtual);
        create trigger a before insert on t for each row set new.v = upper(new.v);
        create trigger b before update on t for each row set new.v = reverse(new.v)";
    let database = Database::new("writes_trigger", schema).await;
    let table = database.table("t").await;
    for (body, expected) in [("abc", "ABC"), ("abc", "cba")] {
        let effect = apply(&table, put("1", &format!("{{\"v\":\"{body}\"}}"))).await.unwrap();
        let (_, json, _) = stored(&effect);
        assert_eq!(json, format!("{{\"id\":1,\"v\":\"{expected}\",\"g\":\"{expected}!\"}}"));
        assert_eq!(value(&table, "1").await, Some(json));
    }
    let error = apply(&table, put("1", "{\"v\":\"a\",\"g\":\"wrong\"}")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidValue);
    assert_eq!(database.sql("select v from t"), "cba");
}

#[tokio::test]
async fn a_row_beyond_the_packet_limit_is_too_large_and_harms_nobody() {
    let database = Database::new("writes_packet", "create table t (id int primary key, v longtext)").await;
    let table = database.table("t").await;
    for length in [16_000_000, 17_000_000, 40_000_000] {
        let body = format!("{{\"v\":\"{}\"}}", "x".repeat(length));
        let outcome = apply(&table, put("1", &body)).await;
        match outcome {
            Ok(effect) => assert_eq!((length, stored(&effect).1.len()), (16_000_000, length + 15)),
            Err(error) => {
                assert_eq!((error.kind(), length > 16_000_000), (ErrorKind::TooLarge, true), "{error}")
            }
        }
    }
    apply(&table, put("2", "{\"v\":\"new\"}")).await.unwrap();
}
