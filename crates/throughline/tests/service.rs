// SPDX-License-Identifier: MIT OR Apache-2.0
//! A service over HTTP behind the whole facade, from its configuration on.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in what its tests share")]

use std::sync::Arc;
use std::time::Duration;

use throughline::config::Settings;
use throughline::{
    Assembly, Change, Condition, Effect, ErrorKind, Key, Level, Served, Space, Target, Throughline, Write,
    install, install_script,
};
use throughline_bank::{Bank, BankOptions};

const TEN: &str = r#"{"amount":10}"#;
const TWENTY: &str = r#"{"amount":20}"#;

struct House {
    bank: Bank,
    settings: Settings,
    throughline: Throughline,
    payment: Arc<Space>,
}

impl House {
    async fn new(options: BankOptions, of_resource: &str) -> Self {
        let bank = Bank::start(options).await.unwrap();
        let settings = settings(&bank, of_resource);
        let throughline = Assembly::new(settings.clone()).open().await.unwrap();
        let payment = throughline.listing("payment").unwrap().space.clone();
        Self { bank, settings, throughline, payment }
    }

    async fn get(&self, id: &str) -> (Option<String>, Served) {
        let read = self.payment.get(&Key::parse(id).unwrap()).await.unwrap();
        let value = read.record().map(|record| String::from_utf8(record.value.to_vec()).unwrap());
        (value, read.served)
    }

    async fn put(&self, id: &str, value: &str) -> throughline::Result<Effect> {
        let change = Change::Put { value: value.to_owned().into(), flags: 0 };
        let target = Target::Key(Key::parse(id).unwrap());
        self.payment.write(Write { target, change, condition: Condition::Always }).await
    }
}

fn settings(bank: &Bank, of_resource: &str) -> Settings {
    let text = format!(
        "[sources.bank]\nurl = \"{}\"\n[resources.payment]\nsource = \"bank\"\npath = \"/payments/{{id}}\"\n\
         access = \"write\"\n{of_resource}",
        bank.url()
    );
    Settings::parse(&text, &|_| None).unwrap()
}

#[tokio::test]
async fn what_was_read_once_is_a_hit_although_the_service_declines() {
    let house = House::new(BankOptions::quick(), "").await;
    house.bank.save("/payments/1", TEN);
    assert_eq!(house.get("1").await, (Some(TEN.to_owned()), Served::Miss { stored: true }));
    assert_eq!(house.get("2").await.0, None);
    house.bank.decline_for_ms(60_000);
    assert_eq!(house.get("1").await, (Some(TEN.to_owned()), Served::Hit));
    assert_eq!(house.get("2").await, (None, Served::Hit));
    let error = house.payment.get(&Key::parse("3").unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.retry_after_ms().is_some_and(|ms| ms > 50_000), "{error:?}");
    assert_eq!(house.bank.counts().declined, 1, "it asked to be left alone, so nothing is tried again");
}

#[tokio::test]
async fn a_hundred_readers_of_one_record_ask_the_service_once() {
    let house = House::new(BankOptions { read_ms: 50, ..BankOptions::quick() }, "lease_wait = \"5s\"").await;
    house.bank.save("/payments/1", TEN);
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let payment = house.payment.clone();
        readers
            .spawn(async move { payment.get(&Key::parse("1").unwrap()).await.unwrap().record().is_some() });
    }
    assert!(readers.join_all().await.into_iter().all(|found| found));
    assert_eq!(house.bank.counts().reads, 1);
}

#[tokio::test]
async fn what_was_written_is_what_is_read_next() {
    for write in ["write-through", "write-around"] {
        let house = House::new(BankOptions::quick(), &format!("write = \"{write}\"")).await;
        house.bank.save("/payments/1", TEN);
        house.get("1").await;
        house.put("1", TWENTY).await.unwrap();
        assert_eq!(house.bank.rows(), [("/payments/1".to_owned(), TWENTY.to_owned())]);
        assert_eq!(house.get("1").await.0.as_deref(), Some(TWENTY), "{write}");
        assert_eq!(house.get("1").await, (Some(TWENTY.to_owned()), Served::Hit));
    }
}

#[tokio::test]
async fn a_write_that_the_service_declines_leaves_no_trace() {
    let house = House::new(BankOptions::quick(), "").await;
    house.bank.save("/payments/1", TEN);
    house.get("1").await;
    house.bank.decline_for_ms(60_000);
    let error = house.put("1", TWENTY).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    house.bank.decline_for_ms(0);
    assert_eq!(house.get("1").await.0.as_deref(), Some(TEN));
}

#[tokio::test]
async fn writes_of_one_record_that_come_together_end_with_the_last() {
    let house = Arc::new(House::new(BankOptions { save_ms: 5, ..BankOptions::quick() }, "").await);
    let mut writers = tokio::task::JoinSet::new();
    for amount in 0..50 {
        let house = house.clone();
        writers.spawn(async move { house.put("1", &format!(r#"{{"amount":{amount}}}"#)).await.unwrap() });
    }
    writers.join_all().await;
    let saved = house.bank.rows()[0].1.clone();
    assert_eq!(house.get("1").await.0, Some(saved));
    assert!(house.bank.counts().saves < 50, "{:?}", house.bank.counts());
}

#[tokio::test]
async fn a_resource_of_a_service_is_bounded_and_says_why() {
    for cache in ["", "cache = \"none\""] {
        let house = House::new(BankOptions::quick(), cache).await;
        let listing = house.throughline.listing("payment").unwrap();
        assert_eq!(listing.space.policy().level, Level::Bounded);
        assert!(listing.about.level_reason.contains("HTTP knows no locks"), "{:?}", listing.about);
        assert_eq!(
            (listing.about.key.join(":"), listing.about.table.as_str()),
            ("id".into(), "/payments/{id}")
        );
        assert!(listing.about.others_seen.contains("the service's other clients"), "{:?}", listing.about);
    }
}

#[tokio::test]
async fn what_a_service_cannot_do_is_said_where_it_is_asked_for() {
    let house = House::new(BankOptions::quick(), "").await;
    let error = house.throughline.begin("bank").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("no source `bank` with transactions"), "{error}");
    let installed = install(&house.settings).await.unwrap();
    assert!(installed[0].done.contains("keeps nothing of ours"), "{installed:?}");
    assert!(install_script(&house.settings).unwrap()[0].contains("keeps nothing of ours"));
    assert_eq!(house.bank.counts().requests + house.bank.counts().reads, 0);
}

#[tokio::test]
async fn a_service_that_is_away_is_told_and_does_not_keep_the_daemon_from_starting() {
    let bank = Bank::start(BankOptions::quick()).await.unwrap();
    let settings = settings(&bank, "");
    drop(bank);
    let throughline = Assembly::new(settings).open().await.unwrap();
    let fault = throughline.notices().iter().find(|notice| notice.is_fault).unwrap();
    assert!(fault.text.contains("cannot be reached"), "{}", fault.text);
    throughline.shut_down(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn what_the_service_is_asked_is_counted() {
    let house = House::new(BankOptions::quick(), "").await;
    house.get("1").await;
    house.put("1", TEN).await.unwrap();
    let count = |name| house.throughline.gauges().iter().find(|gauge| gauge.name == name).unwrap().number;
    assert_eq!((count("read_requests"), count("write_requests"), count("failed_requests")), (1, 1, 0));
}

/// A bank that is asked to save, takes its time, and is asked again by who has restarted meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_write_that_the_bank_is_still_at_is_not_overtaken_after_a_restart() {
    let bank = Bank::start(BankOptions { save_ms: 1_500, ..BankOptions::quick() }).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "data_dir = {:?}\n[sources.bank]\nurl = \"{}\"\nstatement_timeout = \"150ms\"\n[resources.payment]\n\
         source = \"bank\"\npath = \"/payments/{{id}}\"\naccess = \"write\"\nwrite = \"write-behind\"\n\
         behind = {{ delay = \"never\" }}",
        folder.path(),
        bank.url()
    );
    let settings = Settings::parse(&text, &|_| None).unwrap();
    let open = || async {
        let throughline = Assembly::new(settings.clone()).open().await.unwrap();
        let payment = throughline.listing("payment").unwrap();
        (payment.behind.clone().unwrap(), payment.space.clone(), throughline)
    };
    let put = async |payment: &Arc<Space>, amount: u64| {
        let change = Change::Put { value: format!("{{\"amount\":{amount}}}").into(), flags: 0 };
        let target = Target::Key(Key::parse("1").unwrap());
        payment.write(Write { target, change, condition: Condition::Always }).await.unwrap();
    };
    let (behind, payment, throughline) = open().await;
    put(&payment, 10).await;
    put(&payment, 20).await;
    behind.start_drain();
    // The request was given up, and the bank goes on.
    while behind.stats().failures.get() == 0 {
        tokio::task::yield_now().await;
    }
    put(&payment, 30).await;
    throughline.shut_down(Duration::ZERO).await;
    drop((behind, payment, throughline));

    let (behind, payment, _throughline) = open().await;
    assert_eq!(behind.pending_count(), 3);
    bank.take_ms(0, 0);
    put(&payment, 40).await;
    behind.drain().await.unwrap();
    assert_eq!(bank.rows(), [("/payments/1".to_owned(), r#"{"amount":40}"#.to_owned())]);
    assert_eq!(
        (behind.letter_count(), bank.counts().saves),
        (0, 2),
        "20, which took the place of 10, and 40"
    );
}
