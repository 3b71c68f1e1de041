// SPDX-License-Identifier: MIT OR Apache-2.0
//! Accounts, read through a cache and changed in transactions.

use serde::{Deserialize, Serialize};
use throughline::config::Settings;
use throughline::{Assembly, Parameter, Resource, Retry, Throughline, Transaction};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Attempts at one transfer: two that lock the same accounts at the same time may end one another.
const ATTEMPT_COUNT_MAX: usize = 5;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Account {
    owner: String,
    balance: i64,
}

pub(crate) struct Bank {
    throughline: Throughline,
    accounts: Resource<i64, Account>,
}

impl Bank {
    pub(crate) async fn open(memcached: &str) -> Result<Self> {
        let text = format!(
            "[sources.bank]\nurl = \"${{DATABASE_URL}}\"\n[caches.main]\nmemcached = {{ servers = [\"{memcached}\"] }}\n\
             [resources.account]\nsource = \"bank\"\naccess = \"write\"\n"
        );
        let settings = Settings::parse(&text, &|name| std::env::var(name).ok())?;
        let throughline = Assembly::new(settings).open().await?;
        let accounts = throughline.resource("account")?;
        Ok(Self { throughline, accounts })
    }

    /// Both balances, as every reader sees them: from the cache.
    pub(crate) async fn balances(&self) -> Result<String> {
        let accounts = self.accounts.get_many(&[&1, &2]).await;
        let mut balances = Vec::new();
        for account in accounts {
            let account = account?.ok_or("an account is missing")?;
            balances.push(format!("{} {}", account.owner, account.balance));
        }
        Ok(balances.join(", "))
    }

    /// Moves money, or says why not. What failed without having done anything is tried again.
    pub(crate) async fn transfer(&self, from: i64, to: i64, amount: i64) -> Result<&'static str> {
        for attempt in 1.. {
            match self.try_transfer(from, to, amount).await {
                Err(error) if error.retry() == Retry::Safe && attempt < ATTEMPT_COUNT_MAX => {}
                outcome => return Ok(outcome?),
            }
        }
        unreachable!("the last attempt returns")
    }

    async fn try_transfer(&self, from: i64, to: i64, amount: i64) -> throughline::Result<&'static str> {
        let mut transaction = self.throughline.begin("bank").await?;
        // Locked in the same order by everyone, so that two transfers do not wait for each other.
        let (mut payer, mut payee) = (None, None);
        for id in [from.min(to), from.max(to)] {
            let account = transaction.get_locked(&self.accounts, &id).await?;
            *(if id == from { &mut payer } else { &mut payee }) = account;
        }
        let (Some(payer), Some(payee)) = (payer, payee) else {
            // Dropped without a commit, the transaction is rolled back.
            return Ok("there is no such account");
        };
        if payer.balance < amount {
            return Ok("not enough money");
        }
        let left = Account { balance: payer.balance - amount, ..payer };
        let more = Account { balance: payee.balance + amount, ..payee };
        transaction.put(&self.accounts, &from, &left).await?;
        transaction.put(&self.accounts, &to, &more).await?;
        transaction.commit().await?;
        Ok("done")
    }

    /// The application's own SQL: it says which rows it changes, and so everybody sees it with the commit.
    pub(crate) async fn gift_by_sql(&self, to: i64, amount: i64) -> Result<()> {
        let mut transaction: Transaction = self.throughline.begin_with(&self.accounts).await?;
        let sql = "UPDATE account SET balance = balance + ? WHERE id = ?";
        transaction.execute(sql, &[Parameter::Integer(amount), Parameter::Integer(to)]).await?;
        transaction.touch(&self.accounts, &to).await?;
        transaction.commit().await?;
        Ok(())
    }
}
