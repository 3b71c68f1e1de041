// SPDX-License-Identifier: MIT OR Apache-2.0
//! What happens, step by step. Each part has a bank of its own.

use std::env;
use std::path::PathBuf;
use std::time::Instant;

use throughline_bank::{Bank, BankOptions};

use crate::client::Client;
use crate::payments::{Payments, Result};

/// The delay that waits for somebody who sends the worker.
const NEVER: &str = "never";

/// How slow everything is.
pub(crate) struct Story {
    save_ms: u64,
    read_ms: u64,
    decline_ms: u64,
    sync_after: String,
    folder: PathBuf,
}

impl Story {
    /// As the environment says, else as slow as old machines are.
    pub(crate) fn from_environment() -> Result<Self> {
        let number = |name, default| env::var(name).map_or(Ok(default), |text| text.parse::<u64>());
        Ok(Self {
            save_ms: number("SAVE_MS", 2_000)?,
            read_ms: number("READ_MS", 1_500)?,
            decline_ms: number("DECLINE_MS", 10_000)?,
            sync_after: env::var("SYNC_AFTER").unwrap_or_else(|_| "5s".to_owned()),
            folder: env::temp_dir().join(format!("throughline-payment-{}", std::process::id())),
        })
    }

    /// The bank first: slow, and never different from what we have.
    pub(crate) async fn write_through(&self) -> Result<()> {
        let client = self.open("write-through", "write-through").await?;
        client.save().await;
        client.look_into_the_bank();
        client.read().await?;
        client.read().await?;
        self.close(client).await
    }

    /// The answer first: as quick as a disk, and different from the bank until the worker was there.
    pub(crate) async fn write_behind(&self) -> Result<()> {
        let client = self.open("write-behind", "write-behind").await?;
        let receipt = client.accept().await?;
        client.read().await?;
        client.look_into_the_bank();
        self.send_worker(&client);
        client.follow(&receipt).await?;
        client.look_into_the_bank();
        client.read().await?;
        self.close(client).await
    }

    /// The bank only: the cache is filled by reads.
    pub(crate) async fn write_around(&self) -> Result<()> {
        let client = self.open("write-around", "write-around").await?;
        client.save().await;
        client.read().await?;
        client.read().await?;
        self.close(client).await
    }

    /// The bank's trouble is the client's.
    pub(crate) async fn write_through_while_the_bank_declines(&self) -> Result<()> {
        let client = self.open("write-through, and the bank declines", "write-through").await?;
        client.bank.decline_for_ms(self.decline_ms);
        client.save().await;
        client.look_into_the_bank();
        self.close(client).await
    }

    /// The bank's trouble is the worker's.
    pub(crate) async fn write_behind_while_the_bank_declines(&self) -> Result<()> {
        let client = self.open("write-behind, and the bank declines", "write-behind").await?;
        client.bank.decline_for_ms(self.decline_ms);
        let receipt = client.accept().await?;
        client.read().await?;
        client.look_into_the_bank();
        self.send_worker(&client);
        client.follow(&receipt).await?;
        client.look_into_the_bank();
        self.close(client).await
    }

    /// The worker comes after its delay. Where it has none, somebody sends it.
    fn send_worker(&self, client: &Client) {
        if self.sync_after == NEVER {
            client.payments.sync();
        }
    }

    async fn open(&self, title: &str, write: &str) -> Result<Client> {
        println!("{title}\n");
        let (save_ms, read_ms) = (self.save_ms, self.read_ms);
        let bank = Bank::start(BankOptions { save_ms, read_ms, ..BankOptions::default() }).await?;
        std::fs::create_dir_all(&self.folder)?;
        let payments = Payments::open(&bank.url(), write, &self.sync_after, &self.folder).await?;
        Ok(Client { payments, bank, began: Instant::now() })
    }

    async fn close(&self, client: Client) -> Result<()> {
        client.payments.close().await;
        let counts = client.bank.counts();
        println!(
            "\nthe bank saved {}, declined {}, was read {}\n",
            counts.saves, counts.declined, counts.reads
        );
        drop(client);
        std::fs::remove_dir_all(&self.folder)?;
        Ok(())
    }
}
