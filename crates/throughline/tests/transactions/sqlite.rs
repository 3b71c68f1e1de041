// SPDX-License-Identifier: MIT OR Apache-2.0
//! Over SQLite, with the cache in this process.

use throughline::config::Settings;
use throughline::{Assembly, ErrorKind, Retry};
use throughline_testkit::Scratch;

use crate::bank::{
    Account, Bank, RESOURCES, TABLES, a_dropped_transaction_leaves_nothing_behind,
    no_reader_sees_an_old_value_after_a_commit, only_statements_about_rows_are_run,
    rows_and_refusals_are_told,
};

async fn open(folder: &Scratch) -> Bank {
    let file = folder.join("bank.db");
    rusqlite::Connection::open(&file).unwrap().execute_batch(TABLES).unwrap();
    let text = format!(
        "[sources.bank]\nurl = \"sqlite:{}\"\n[caches.main]\nmemory = {{ capacity = \"8 MiB\" }}\n{RESOURCES}",
        file.display()
    );
    let settings = Settings::parse(&text, &|_| None).unwrap();
    Bank::new(Assembly::new(settings).open().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn money_is_moved_and_nobody_sees_it_half_way() {
    let folder = Scratch::new();
    let bank = open(&folder).await;
    no_reader_sees_an_old_value_after_a_commit(&bank, &bank).await;
    a_dropped_transaction_leaves_nothing_behind(&bank).await;
    only_statements_about_rows_are_run(&bank).await;
    rows_and_refusals_are_told(&bank).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_asks_for_nothing_lets_other_writers_go_on() {
    let folder = Scratch::new();
    let bank = open(&folder).await;
    let mut idle = bank.program.begin("bank").await.unwrap();
    idle.put(&bank.accounts, &1, &Account { balance: 0, moves: 9 }).await.unwrap();
    // It waits for the only writing thread, which the idle transaction has for a second.
    let other = Account { balance: 5, moves: 5 };
    bank.accounts.put(&1, &other).await.unwrap();
    let error = idle.commit().await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Timeout, Retry::Safe));
    assert_eq!(bank.accounts.get(&1).await.unwrap(), Some(other));
}

#[tokio::test(flavor = "multi_thread")]
async fn more_rows_than_are_marked_drop_the_resources_entries() {
    let folder = Scratch::new();
    let bank = open(&folder).await;
    let before = bank.both().await;
    assert_eq!(bank.both().await, before, "both are cached");
    let mut transaction = bank.program.begin("bank").await.unwrap();
    for id in 100..400 {
        transaction.put(&bank.accounts, &id, &Account { balance: 1, moves: 0 }).await.unwrap();
    }
    transaction.put(&bank.accounts, &1, &Account { balance: 7, moves: 7 }).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(bank.accounts.space().stats().generations.get(), 1);
    assert_eq!(bank.savings.space().stats().generations.get(), 0);
    assert_eq!(bank.both().await.0, Account { balance: 7, moves: 7 });
}
