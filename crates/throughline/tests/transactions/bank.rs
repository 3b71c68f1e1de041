// SPDX-License-Identifier: MIT OR Apache-2.0
//! Accounts in two tables, between which money is moved, whatever the source is.

use serde::{Deserialize, Serialize};
use throughline::{Parameter, Resource, Result, Throughline};

pub(crate) const TABLES: &str =
    "create table account (id int primary key, balance int not null, moves int not null);
    insert into account values (1,100,0),(2,100,0),(3,0,0);
    create table savings (id int primary key, balance int not null, moves int not null);
    insert into savings values (1,100,0),(2,100,0);";

pub(crate) const RESOURCES: &str = "[resources.account]\nsource = \"bank\"\naccess = \"write\"\n\
    [resources.savings]\nsource = \"bank\"\naccess = \"write\"\n";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) balance: i64,
    pub(crate) moves: i64,
}

/// A program with both resources.
pub(crate) struct Bank {
    pub(crate) program: Throughline,
    pub(crate) accounts: Resource<i32, Account>,
    pub(crate) savings: Resource<i32, Account>,
}

impl Bank {
    pub(crate) fn new(program: Throughline) -> Self {
        let accounts = program.resource("account").unwrap();
        let savings = program.resource("savings").unwrap();
        Self { program, accounts, savings }
    }

    /// Moves `amount` from account 1 to savings 1, one by a put and the other by SQL of our own.
    pub(crate) async fn save(&self, amount: i64) -> Result<()> {
        let mut transaction = self.program.begin("bank").await?;
        let from = transaction.get_locked(&self.accounts, &1).await?.expect("account 1 is there");
        let left = Account { balance: from.balance - amount, moves: from.moves + 1 };
        transaction.put(&self.accounts, &1, &left).await?;
        let add = self.sql("update savings set balance = balance + ?, moves = moves + 1 where id = ?");
        transaction.execute(&add, &[Parameter::Integer(amount), Parameter::Integer(1)]).await?;
        transaction.touch(&self.savings, &1).await?;
        transaction.commit().await
    }

    /// A statement with two places for values at the most, in the source's dialect.
    pub(crate) fn sql(&self, text: &str) -> String {
        if !self.program.listings()[0].about.source.contains("PostgreSQL") {
            return text.to_owned();
        }
        text.replacen('?', "$1", 1).replacen('?', "$2", 1)
    }

    pub(crate) async fn both(&self) -> (Account, Account) {
        let account = self.accounts.get(&1).await.unwrap().unwrap();
        (account, self.savings.get(&1).await.unwrap().unwrap())
    }

    pub(crate) fn count(&self, role: &str, name: &str) -> u64 {
        let gauges = self.program.gauges();
        gauges.iter().find(|gauge| gauge.role == role && gauge.name == name).expect("the gauge").number
    }
}

/// Nobody reads an old value after a commit, and after one row was seen new, the other is not seen old.
pub(crate) async fn no_reader_sees_an_old_value_after_a_commit(writer: &Bank, reader: &Bank) {
    for moves in 1..=60 {
        let (before, saving) = tokio::join!(reader.both(), writer.save(1));
        saving.unwrap();
        // The savings were read after the account.
        assert!(before.1.moves >= before.0.moves, "{before:?}");
        for bank in [writer, reader] {
            let (account, savings) = bank.both().await;
            assert_eq!((account.moves, savings.moves), (moves, moves));
            assert_eq!((account.balance, savings.balance), (100 - moves, 100 + moves));
        }
    }
}

/// What was not committed is nowhere, and locks and marks are gone.
pub(crate) async fn a_dropped_transaction_leaves_nothing_behind(bank: &Bank) {
    let before = bank.both().await;
    let mut transaction = bank.program.begin_with(&bank.accounts).await.unwrap();
    let changed = Account { balance: 0, moves: 77 };
    transaction.put(&bank.accounts, &1, &changed).await.unwrap();
    assert_eq!(transaction.get(&bank.accounts, &1).await.unwrap(), Some(changed), "it sees its own write");
    assert_eq!(bank.accounts.get(&1).await.unwrap(), Some(before.0), "and nobody else does");
    drop(transaction);
    assert_eq!(bank.both().await, before);
    bank.accounts.put(&1, &before.0).await.unwrap();

    let mut transaction = bank.program.begin("bank").await.unwrap();
    transaction.put(&bank.savings, &1, &changed).await.unwrap();
    transaction.roll_back().await.unwrap();
    assert_eq!(bank.both().await, before);
}

/// Statements that would end the transaction or outlive it, and broken ones.
pub(crate) async fn only_statements_about_rows_are_run(bank: &Bank) {
    for sql in ["commit", "drop table account", "select 1; commit", "selec 1"] {
        let mut transaction = bank.program.begin("bank").await.unwrap();
        transaction.put(&bank.accounts, &3, &Account { balance: 9, moves: 9 }).await.unwrap();
        transaction.execute(sql, &[]).await.unwrap_err();
        transaction.commit().await.unwrap_err();
        assert_eq!(bank.accounts.get(&3).await.unwrap(), Some(Account { balance: 0, moves: 0 }), "{sql}");
    }
}

/// What a SELECT of the application returns, and what a refused condition does not end.
pub(crate) async fn rows_and_refusals_are_told(bank: &Bank) {
    let mut transaction = bank.program.begin("bank").await.unwrap();
    let select = bank.sql("select id, null, 'text' from account where id >= ? order by id");
    let rows = transaction.execute(&select, &[Parameter::Integer(2)]).await.unwrap().rows;
    let text = Parameter::Text("text".to_owned());
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[1], [Parameter::Integer(3), Parameter::Null, text]);
    let same = Account { balance: 1, moves: 1 };
    assert!(!transaction.insert_if_absent(&bank.accounts, &1, &same).await.unwrap());
    let seen = transaction.get_versioned(&bank.accounts, &2).await.unwrap().unwrap();
    let set = transaction.compare_and_set(&bank.accounts, &2, seen.version, &same).await.unwrap();
    assert_eq!(set, Ok(()));
    transaction.compare_and_set(&bank.accounts, &2, seen.version, &same).await.unwrap().unwrap_err();
    assert!(transaction.delete(&bank.savings, &2).await.unwrap());
    transaction.commit().await.unwrap();
    assert_eq!(bank.accounts.get(&2).await.unwrap(), Some(same));
    assert_eq!(bank.savings.get(&2).await.unwrap(), None);
}
