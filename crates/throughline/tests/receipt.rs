// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a receipt tells, over a bank that takes its time or declines.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in what its tests share")]

use std::time::Duration;

use serde_json::{Value, json};
use throughline::config::Settings;
use throughline::{Assembly, ErrorKind, Progress, Receipt, Resource, Throughline};
use throughline_bank::{Bank, BankOptions};

struct House {
    bank: Bank,
    throughline: Throughline,
    payments: Resource<u64, Value>,
    /// Gone with the house.
    _folder: tempfile::TempDir,
}

impl House {
    async fn new(write: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bank = Bank::start(BankOptions::quick()).await.unwrap();
        let (url, data) = (bank.url(), folder.path());
        let text = format!(
            "data_dir = {data:?}\n[sources.bank]\nurl = \"{url}\"\n[resources.payment]\nsource = \"bank\"\n\
             path = \"/payments/{{id}}\"\naccess = \"write\"\n{write}"
        );
        let settings = Settings::parse(&text, &|_| None).unwrap();
        let throughline = Assembly::new(settings).open().await.unwrap();
        let payments = throughline.resource("payment").unwrap();
        Self { bank, throughline, payments, _folder: folder }
    }

    /// Nothing is applied before [`House::drain`].
    async fn behind() -> Self {
        Self::new("write = \"write-behind\"\nbehind = { delay = \"never\" }").await
    }

    async fn pay(&self, amount: u64) -> Receipt {
        self.payments.accept(&1, &json!({ "amount": amount })).await.unwrap()
    }

    fn drain(&self) {
        self.throughline.listing("payment").unwrap().behind.as_ref().unwrap().start_drain();
    }

    fn saved(&self) -> Vec<String> {
        self.bank.rows().into_iter().map(|(_, document)| document).collect()
    }
}

/// Looks again and again, while others work.
async fn until(receipt: &Receipt, is_so: impl Fn(&Progress) -> bool) -> Progress {
    let look = async {
        loop {
            let progress = receipt.progress();
            if is_so(&progress) {
                return progress;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), look).await.unwrap()
}

#[tokio::test]
async fn an_accepted_write_is_read_before_the_source_has_it_and_applied_when_the_receipt_says_so() {
    let house = House::behind().await;
    let receipt = house.pay(100).await;
    assert_eq!(receipt.progress(), Progress::Accepted);
    assert_eq!(house.payments.get(&1).await.unwrap(), Some(json!({ "amount": 100 })));
    assert_eq!((house.saved(), house.bank.counts().reads), (vec![], 0), "the read cost the bank nothing");
    house.drain();
    receipt.applied().await.unwrap();
    assert_eq!(receipt.progress(), Progress::Applied);
    assert_eq!(house.saved(), [r#"{"amount":100}"#]);
    receipt.applied().await.unwrap();
}

#[tokio::test]
async fn a_write_that_is_declined_for_a_while_is_applied_exactly_once() {
    let house = House::behind().await;
    house.bank.refuse(&[503, 500, 429]);
    let receipt = house.pay(100).await;
    house.drain();
    receipt.applied().await.unwrap();
    let counts = house.bank.counts();
    assert_eq!((counts.requests, counts.saves), (4, 1), "{counts:?}");
    assert_eq!(house.saved(), [r#"{"amount":100}"#]);
}

#[tokio::test]
async fn a_receipt_says_why_a_write_is_not_applied_and_when_it_is_tried_again() {
    let house = House::behind().await;
    house.bank.decline_for_ms(20_000);
    let receipt = house.pay(100).await;
    house.drain();
    let progress = until(&receipt, |progress| *progress != Progress::Accepted).await;
    let Progress::Retrying { why, next_ms, attempts: 1 } = progress else { panic!("{progress:?}") };
    assert!(why.contains("503") && why.contains("closed for a while"), "{why}");
    assert!((10_000..=20_000).contains(&next_ms), "as Retry-After says: {next_ms}");
    assert_eq!(house.payments.get(&1).await.unwrap(), Some(json!({ "amount": 100 })), "readers see it");
}

#[tokio::test]
async fn a_write_that_the_source_refuses_for_good_ends_the_wait_with_its_error() {
    let house = House::behind().await;
    house.bank.refuse(&[422]);
    let receipt = house.pay(100).await;
    house.drain();
    assert_eq!(receipt.applied().await.unwrap_err().kind(), ErrorKind::InvalidValue);
    assert!(matches!(receipt.progress(), Progress::Dead { .. }), "{:?}", receipt.progress());
}

#[tokio::test]
async fn a_wait_that_is_dropped_leaves_the_write_as_it_is() {
    let house = House::behind().await;
    let (first, second) = (house.pay(100).await, house.pay(200).await);
    assert!(first.number() < second.number());
    assert!(tokio::time::timeout(Duration::ZERO, first.applied()).await.is_err());
    house.drain();
    first.applied().await.unwrap();
    second.applied().await.unwrap();
    assert_eq!(house.saved(), [r#"{"amount":200}"#], "the later one took the place of the first");
}

#[tokio::test]
async fn a_program_that_shuts_down_ends_the_wait() {
    let house = House::behind().await;
    let receipt = house.pay(100).await;
    let (outcome, _) = tokio::join!(receipt.applied(), house.throughline.shut_down(Duration::from_secs(5)));
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("for the next start"), "{error}");
    assert_eq!(house.saved(), Vec::<String>::new());
}

#[tokio::test]
async fn a_resource_that_is_not_written_behind_gives_no_receipts() {
    let house = House::new("write = \"write-through\"").await;
    let error = house.payments.accept(&1, &json!({ "amount": 100 })).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("write = \"write-behind\""), "{error}");
    assert_eq!(house.bank.counts().requests, 0);
}
