// SPDX-License-Identifier: MIT OR Apache-2.0
//! The resource manager: it stands between the client and the bank. Which way it writes is configuration.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use throughline::config::Settings;
use throughline::{Assembly, Receipt, Resource, Throughline};

use crate::payment::Payment;

/// Whatever can go wrong, for people to read.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Payments at a bank, with a cache in front.
#[derive(Clone, Debug)]
pub(crate) struct Payments {
    throughline: Throughline,
    payments: Resource<u64, Payment>,
}

fn configuration(bank: &str, write: &str, sync_after: &str) -> String {
    let behind = match write {
        "write-behind" => format!("behind = {{ delay = \"{sync_after}\" }}"),
        _ => String::new(),
    };
    format!(
        r#"
# The data accessor.
[sources.bank]
url = "{bank}"

[caches.here]
memory = {{}}

[resources.payment]
source = "bank"
path = "/payments/{{id}}"
cache = "here"
access = "write"
write = "{write}"
{behind}
"#
    )
}

impl Payments {
    /// Payments at this bank. What was accepted is kept in `folder` until the bank has it.
    pub(crate) async fn open(bank: &str, write: &str, sync_after: &str, folder: &Path) -> Result<Self> {
        let text = format!("data_dir = {folder:?}\n{}", configuration(bank, write, sync_after));
        let settings = Settings::parse(&text, &|_| None)?;
        let throughline = Assembly::new(settings).open().await?;
        let payments = throughline.resource("payment")?;
        Ok(Self { throughline, payments })
    }

    /// Saves a payment; ready when the bank has it, or has not.
    pub(crate) async fn save(&self, id: u64, payment: &Payment) -> throughline::Result<()> {
        self.payments.put(&id, payment).await?;
        Ok(())
    }

    /// Accepts a payment; ready when it cannot be lost any more. The receipt tells when the bank has it.
    pub(crate) async fn accept(&self, id: u64, payment: &Payment) -> throughline::Result<Receipt> {
        self.payments.accept(&id, payment).await
    }

    /// Reads a payment: from the cache, or from the bank and then into the cache.
    pub(crate) async fn read(&self, id: u64) -> throughline::Result<Option<Payment>> {
        self.payments.get(&id).await
    }

    /// Sends the worker to the bank now, as `throughline drain` does.
    pub(crate) fn sync(&self) {
        for listing in self.throughline.listings() {
            listing.behind.iter().for_each(|behind| behind.start_drain());
        }
    }

    /// Stops the background work.
    pub(crate) async fn close(&self) {
        self.throughline.shut_down(Duration::from_secs(1)).await;
    }
}
