// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where payments are made: a client, a cache, a journal and a bank, each of which says when it is called.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use miette::{IntoDiagnostic as _, miette};
use serde_json::{Value, json};
use throughline::config::Settings;
use throughline::{Assembly, Progress, Receipt, Resource, Result, Throughline, WriteStrategy};
use throughline_bank::{Bank, BankOptions};

use super::seconds;
use crate::args::PaymentArgs;
use crate::demo::shown::{self, key};
use crate::demo::trace::Trace;
use crate::demo::traced_cache::TracedCache;
use crate::demo::traced_journal::TracedJournal;

/// How often a receipt is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// One way to write payments at a bank of its own.
pub(super) struct Office {
    bank: Bank,
    throughline: Throughline,
    payments: Resource<u64, Value>,
    sync_ms: u64,
    trace: Trace,
}

impl Office {
    pub(super) async fn open(
        folder: &Path,
        args: &PaymentArgs,
        write: WriteStrategy,
    ) -> miette::Result<Self> {
        let trace = Trace::default();
        let told = trace.clone();
        let bank = Bank::start(BankOptions {
            save_ms: args.save_ms,
            read_ms: args.read_ms,
            told: Some(Arc::new(move |what| told.event("bank", what))),
            ..BankOptions::default()
        });
        let bank = bank.await.into_diagnostic()?;
        let settings = Settings::parse(&configuration(&bank.url(), args, write), &|_| None);
        let mut settings = settings.map_err(|mistake| miette!("{mistake}"))?;
        settings.data_dir = folder.to_owned();
        settings.is_data_kept = true;
        let (cache, journal) = (trace.clone(), trace.clone());
        let assembly = Assembly::new(settings)
            .wrap_caches(move |inner| Arc::new(TracedCache::new(inner, cache.clone())))
            .wrap_journals(move |inner| Arc::new(TracedJournal::new(inner, journal.clone())));
        let throughline = assembly.open().await.map_err(|mistake| miette!("{mistake}"))?;
        let payments = throughline.resource("payment").into_diagnostic()?;
        Ok(Self { bank, throughline, payments, sync_ms: args.sync_ms, trace })
    }

    pub(super) async fn close(&self) -> miette::Result<()> {
        self.throughline.shut_down(Duration::from_secs(1)).await;
        Ok(())
    }

    pub(super) fn title(&self, title: &str) {
        self.trace.title(title);
    }

    pub(super) fn say(&self, what: &str) {
        self.trace.say(what);
    }

    /// The client saves and waits for the bank.
    pub(super) async fn save(&self) -> Result<()> {
        self.trace.event("client", "saves the payment");
        self.payments.put(&1, &payment()).await?;
        self.trace.event("client", "has its answer: saved");
        Ok(())
    }

    /// The client saves while the bank declines.
    pub(super) async fn save_in_vain(&self) -> miette::Result<()> {
        let Err(error) = self.save().await else { return Err(miette!("the bank did not decline")) };
        self.trace.event("client", &format!("has its answer: {error}"));
        if let Some(ms) = error.retry_after_ms() {
            self.trace.event("client", &format!("may ask again in {} s (Retry-After)", ms.div_ceil(1_000)));
        }
        Ok(())
    }

    /// The client saves and waits for the journal.
    pub(super) async fn accept(&self) -> Result<Receipt> {
        self.trace.event("client", "saves the payment");
        let receipt = self.payments.accept(&1, &payment()).await?;
        self.trace.event("client", &format!("has its answer: accepted, receipt {}", receipt.number()));
        Ok(receipt)
    }

    pub(super) async fn read(&self) -> miette::Result<()> {
        let read = self.payments.space().get(&key()).await.into_diagnostic()?;
        self.trace.event("client", &shown::read(&read));
        Ok(())
    }

    /// What the worker is about to do.
    pub(super) fn worker(&self) -> String {
        match self.sync_ms {
            0 => "the worker is sent off".to_owned(),
            ms => format!("{} s after it was accepted the worker brings it to the bank", seconds(ms)),
        }
    }

    /// Waits until the payment is at the bank, and says what the receipt says meanwhile.
    pub(super) async fn follow(&self, receipt: &Receipt) -> Result<()> {
        if self.sync_ms == 0 {
            let listing = self.throughline.listing("payment").expect("it is configured");
            listing.behind.iter().for_each(|behind| behind.start_drain());
        }
        let mut tries = 0;
        while tokio::time::timeout(LOOK, receipt.applied()).await.is_err() {
            if let Progress::Retrying { why, next_ms, attempts } = receipt.progress()
                && attempts > tries
            {
                tries = attempts;
                self.trace.event("receipt", &format!("says: {why}"));
                self.trace.event("receipt", &format!("says: not applied, tried again in {next_ms} ms"));
            }
        }
        receipt.applied().await?;
        self.trace.event("receipt", "says: applied");
        Ok(())
    }

    /// From now on the bank declines, for `ms`.
    pub(super) fn decline(&self, ms: u64) {
        self.bank.decline_for_ms(ms);
    }

    /// What the bank's own database holds.
    pub(super) fn database(&self) {
        let rows = self.bank.rows();
        let rows: Vec<_> = rows.iter().map(|(path, document)| format!("{path} {document}")).collect();
        let rows = if rows.is_empty() { "nothing".to_owned() } else { rows.join(", ") };
        self.trace.event("bank", &format!("its own database holds {rows}"));
    }

    /// How often the bank has saved.
    pub(super) fn saves(&self) {
        let counts = self.bank.counts();
        let times = |count| if count == 1 { "once".to_owned() } else { format!("{count} times") };
        let (declined, saves) = (times(counts.declined), times(counts.saves));
        self.trace.event("bank", &format!("has declined {declined} and saved {saves}"));
    }
}

fn payment() -> Value {
    json!({ "type": "PAYMENT", "amount": 100, "currency": "EUR" })
}

fn configuration(bank: &str, args: &PaymentArgs, write: WriteStrategy) -> String {
    let delay = match args.sync_ms {
        0 => "never".to_owned(),
        ms => format!("{ms}ms"),
    };
    let behind = match write {
        WriteStrategy::WriteBehind => format!("behind = {{ delay = \"{delay}\" }}"),
        WriteStrategy::WriteThrough | WriteStrategy::WriteAround => String::new(),
    };
    // A bank that takes its time is not one that does not answer.
    let patience_ms = args.save_ms.max(args.read_ms) + 5_000;
    format!(
        r#"
[sources.bank]
url = "{bank}"
statement_timeout = "{patience_ms}ms"

[resources.payment]
source = "bank"
path = "/payments/{{id}}"
access = "write"
write = "{write}"
{behind}
"#
    )
}
