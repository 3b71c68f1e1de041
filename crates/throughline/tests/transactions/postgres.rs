// SPDX-License-Identifier: MIT OR Apache-2.0
//! Over PostgreSQL, with the cache on memcached.

use std::sync::OnceLock;
use std::time::Duration;

use throughline::config::Settings;
use throughline::{Assembly, ErrorKind, OutboxPlan, Parameter, Retry};
use throughline_testkit::{Memcached, MemcachedOptions, Postgres, PostgresOptions};

use crate::bank::{
    Account, Bank, RESOURCES, TABLES, a_dropped_transaction_leaves_nothing_behind,
    no_reader_sees_an_old_value_after_a_commit, only_statements_about_rows_are_run,
    rows_and_refusals_are_told,
};

fn server() -> &'static Postgres {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    SERVER.get_or_init(|| Postgres::start(PostgresOptions::fast()))
}

fn settings(name: &str, cache: &Memcached) -> Settings {
    let url = server().create_database(name);
    server().execute_in(name, TABLES);
    let text = format!(
        "[sources.bank]\nurl = \"{url}\"\n[caches.main]\nmemcached = {{ servers = [\"{}\"] }}\n{RESOURCES}",
        cache.address()
    );
    Settings::parse(&text, &|_| None).unwrap()
}

async fn open(name: &str, cache: &Memcached) -> Bank {
    Bank::new(Assembly::new(settings(name, cache)).open().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn money_is_moved_and_nobody_sees_it_half_way() {
    let cache = Memcached::start(MemcachedOptions::default());
    let bank = open("tx_bank", &cache).await;
    no_reader_sees_an_old_value_after_a_commit(&bank, &bank).await;
    a_dropped_transaction_leaves_nothing_behind(&bank).await;
    only_statements_about_rows_are_run(&bank).await;
    rows_and_refusals_are_told(&bank).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_not_there_yet_is_not_cached_as_absent_beside_its_insert() {
    let cache = Memcached::start(MemcachedOptions::default());
    let bank = open("tx_absent", &cache).await;
    let mut transaction = bank.program.begin("bank").await.unwrap();
    let insert = "insert into account values ($1, 5, 0)";
    transaction.execute(insert, &[Parameter::Integer(7)]).await.unwrap();
    transaction.touch(&bank.accounts, &7).await.unwrap();
    assert_eq!(bank.accounts.get(&7).await.unwrap(), None);
    transaction.commit().await.unwrap();
    assert_eq!(bank.accounts.get(&7).await.unwrap(), Some(Account { balance: 5, moves: 0 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadlock_ends_one_transaction_which_may_begin_again() {
    let cache = Memcached::start(MemcachedOptions::default());
    let bank = open("tx_deadlock", &cache).await;
    let mut one = bank.program.begin("bank").await.unwrap();
    let mut two = bank.program.begin("bank").await.unwrap();
    one.get_locked(&bank.accounts, &1).await.unwrap();
    two.get_locked(&bank.accounts, &2).await.unwrap();
    let (first, second) =
        tokio::join!(one.get_locked(&bank.accounts, &2), two.get_locked(&bank.accounts, &1));
    let error = match (first, second) {
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => error,
        other => panic!("one of them ends: {other:?}"),
    };
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Timeout, Retry::Safe));
    assert!(error.detail().contains("deadlock"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn own_sql_that_is_not_touched_comes_back_as_news_of_an_outbox() {
    let cache = Memcached::start(MemcachedOptions::default());
    let settings = settings("tx_news", &cache);
    OutboxPlan::Install(vec!["account".to_owned()]).carry_out(&settings.sources[0]).await.unwrap();
    let bank = Bank::new(Assembly::new(settings).open().await.unwrap());
    bank.both().await;
    let mut transaction = bank.program.begin("bank").await.unwrap();
    transaction.execute("update account set balance = 2 where id = 1", &[]).await.unwrap();
    transaction.commit().await.unwrap();
    let seen = async {
        while bank.both().await.0.balance != 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(8), seen).await.expect("the outbox tells of it");
}
