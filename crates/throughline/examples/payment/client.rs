// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who pays, and says what happens.

use std::time::{Duration, Instant};

use throughline::{Progress, Receipt};
use throughline_bank::Bank;

use crate::payment::{Kind, Payment};
use crate::payments::{Payments, Result};

/// How often a receipt is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// A client of the payments, who can look into the bank's own database, too.
pub(crate) struct Client {
    pub(crate) payments: Payments,
    pub(crate) bank: Bank,
    pub(crate) began: Instant,
}

impl Client {
    /// Prints a line with the time since the client came.
    fn say(&self, what: &str) {
        println!("[{:5.2} s] {what}", self.began.elapsed().as_secs_f64());
    }

    /// Pays and waits for the bank.
    pub(crate) async fn save(&self) {
        match self.payments.save(1, &payment()).await {
            Ok(()) => self.say("saved"),
            Err(error) => {
                self.say(&format!("not saved: {error}"));
                let seconds = error.retry_after_ms().map(|ms| ms.div_ceil(1_000));
                seconds.iter().for_each(|seconds| self.say(&format!("the bank says: in {seconds} s")));
            }
        }
    }

    /// Pays and does not wait for the bank.
    pub(crate) async fn accept(&self) -> Result<Receipt> {
        let receipt = self.payments.accept(1, &payment()).await?;
        self.say(&format!("accepted, receipt {}", receipt.number()));
        Ok(receipt)
    }

    /// Reads the payment, and says who answered.
    pub(crate) async fn read(&self) -> Result<()> {
        let before = self.bank.counts().reads;
        let payment = self.payments.read(1).await?;
        let payment = payment.map_or_else(|| "no such payment".to_owned(), |payment| payment.to_string());
        let who = if self.bank.counts().reads == before { "the cache" } else { "the bank" };
        self.say(&format!("{payment}, says {who}"));
        Ok(())
    }

    /// Waits until the bank has the payment, and says why it has not, meanwhile.
    pub(crate) async fn follow(&self, receipt: &Receipt) -> Result<()> {
        let mut tries = 0;
        while tokio::time::timeout(LOOK, receipt.applied()).await.is_err() {
            if let Progress::Retrying { why, attempts, .. } = receipt.progress()
                && attempts > tries
            {
                tries = attempts;
                self.say(&format!("not applied yet: {why}"));
            }
        }
        receipt.applied().await?;
        self.say("applied");
        Ok(())
    }

    /// Looks into the bank's own database.
    pub(crate) fn look_into_the_bank(&self) {
        let rows = self.bank.rows();
        match rows.as_slice() {
            [] => self.say("the bank's database is empty"),
            rows => rows.iter().for_each(|(path, row)| self.say(&format!("the bank has {path} {row}"))),
        }
    }
}

fn payment() -> Payment {
    Payment { kind: Kind::Payment, amount: 100, currency: "EUR".to_owned() }
}
