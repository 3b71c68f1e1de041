// SPDX-License-Identifier: MIT OR Apache-2.0
//! Over MariaDB, with two daemons' caches on one memcached.

use std::sync::OnceLock;
use std::time::Duration;

use throughline::config::Settings;
use throughline::{Assembly, ErrorKind, Level, OutboxPlan, Parameter, Retry};
use throughline_testkit::{Mariadb, MariadbOptions, Memcached, MemcachedOptions};

use crate::bank::{
    Account, Bank, RESOURCES, TABLES, a_dropped_transaction_leaves_nothing_behind,
    no_reader_sees_an_old_value_after_a_commit, only_statements_about_rows_are_run,
    rows_and_refusals_are_told,
};

fn server() -> &'static Mariadb {
    static SERVER: OnceLock<Mariadb> = OnceLock::new();
    SERVER.get_or_init(|| Mariadb::start(MariadbOptions::fast()))
}

async fn settings(name: &str, cache: &Memcached) -> Settings {
    let url = server().create_database(name);
    server().execute(&format!("use `{name}`; {TABLES}"));
    let text = format!(
        "[sources.bank]\nurl = \"{url}\"\n[caches.main]\nmemcached = {{ servers = [\"{}\"] }}\n{RESOURCES}",
        cache.address()
    );
    let settings = Settings::parse(&text, &|_| None).unwrap();
    throughline::install(&settings).await.unwrap();
    settings
}

async fn open(settings: &Settings) -> Bank {
    let bank = Bank::new(Assembly::new(settings.clone()).open().await.unwrap());
    assert_eq!(bank.accounts.space().policy().level, Level::Strict);
    // The first look-ups may find the connection still being made.
    for _ in 0..1_000 {
        bank.both().await;
        if bank.accounts.space().stats().hits.get() > 0 && bank.savings.space().stats().hits.get() > 0 {
            return bank;
        }
    }
    panic!("nothing becomes a hit");
}

#[tokio::test(flavor = "multi_thread")]
async fn money_is_moved_and_nobody_sees_it_half_way() {
    let cache = Memcached::start(MemcachedOptions::default());
    let settings = settings("tx_bank", &cache).await;
    let (one, two) = (open(&settings).await, open(&settings).await);
    no_reader_sees_an_old_value_after_a_commit(&one, &two).await;
    a_dropped_transaction_leaves_nothing_behind(&one).await;
    only_statements_about_rows_are_run(&one).await;
    rows_and_refusals_are_told(&one).await;
}

/// Changes account 1 by SQL of our own, and says so or not.
async fn change(bank: &Bank, balance: i64, touch: bool) {
    let mut transaction = bank.program.begin("bank").await.unwrap();
    let sql = "update account set balance = ? where id = 1";
    let changed = transaction.execute(sql, &[Parameter::Integer(balance)]).await.unwrap();
    assert_eq!(changed.changed, 1);
    if touch {
        transaction.touch(&bank.accounts, &1).await.unwrap();
    }
    transaction.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn own_sql_is_seen_at_once_if_it_is_touched_and_else_later() {
    let cache = Memcached::start(MemcachedOptions::default());
    let settings = settings("tx_touch", &cache).await;
    let bank = open(&settings).await;
    change(&bank, 1, true).await;
    assert_eq!(bank.both().await.0.balance, 1);
    bank.both().await;
    change(&bank, 2, false).await;
    assert_eq!(bank.both().await.0.balance, 1, "as documented: the caches were not told");
    bank.accounts.invalidate(&1).await.unwrap();
    assert_eq!(bank.both().await.0.balance, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn own_sql_that_is_not_touched_comes_back_as_news_of_an_outbox() {
    let cache = Memcached::start(MemcachedOptions::default());
    let settings = settings("tx_news", &cache).await;
    OutboxPlan::Install(vec!["account".to_owned()]).carry_out(&settings.sources[0]).await.unwrap();
    let bank = open(&settings).await;
    change(&bank, 2, false).await;
    let seen = async {
        while bank.both().await.0.balance != 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(8), seen).await.expect("the outbox tells of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_without_its_memcached_is_rolled_back_and_may_begin_again() {
    let cache = Memcached::start(MemcachedOptions::default());
    let settings = settings("tx_down", &cache).await;
    let bank = open(&settings).await;
    let mut transaction = bank.program.begin("bank").await.unwrap();
    transaction.put(&bank.accounts, &1, &Account { balance: 0, moves: 1 }).await.unwrap();
    transaction.put(&bank.savings, &1, &Account { balance: 200, moves: 1 }).await.unwrap();
    cache.kill();
    let error = transaction.commit().await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Unmarkable, Retry::Safe));
    let both = bank.both().await;
    assert_eq!((both.0.balance, both.1.balance), (100, 100));
    // The server is fenced by now, so its marks are not missed.
    bank.save(5).await.unwrap();
    let both = bank.both().await;
    assert_eq!((both.0.balance, both.1.balance), (95, 105));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadlock_ends_one_transaction_which_may_begin_again() {
    let cache = Memcached::start(MemcachedOptions::default());
    let settings = settings("tx_deadlock", &cache).await;
    let bank = open(&settings).await;
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
    let ends = [one.commit().await, two.commit().await];
    assert_eq!(ends.iter().filter(|end| end.is_ok()).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_costs_its_statements_one_mark_per_row_and_two_round_trips_around_them() {
    let cache = Memcached::start(MemcachedOptions::default());
    let settings = settings("tx_cost", &cache).await;
    let bank = open(&settings).await;
    let before = (bank.count("source", "write_statements"), bank.count("cache", "commands"));
    let mut transaction = bank.program.begin("bank").await.unwrap();
    transaction.put(&bank.accounts, &1, &Account { balance: 0, moves: 1 }).await.unwrap();
    transaction.put(&bank.savings, &1, &Account { balance: 200, moves: 1 }).await.unwrap();
    transaction.commit().await.unwrap();
    // The begin, twice an UPDATE and its read-back, the COMMIT; two marks, which are one round trip, and two
    // publishes, which nobody waits for.
    assert_eq!(bank.count("source", "write_statements") - before.0, 6);
    assert_eq!(bank.count("cache", "commands") - before.1, 4);
    assert_eq!(bank.count("source", "transactions_committed"), 1);
    let hits = bank.accounts.space().stats().hits.get();
    assert_eq!(bank.both().await.1.balance, 200);
    assert_eq!(bank.accounts.space().stats().hits.get(), hits + 1, "what was written was published");
}
