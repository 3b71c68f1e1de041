// SPDX-License-Identifier: MIT OR Apache-2.0
//! Write-behind over real servers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in what its tests share")]

use std::path::Path;

use throughline::config::{ConfigError, Settings};
use throughline::{
    Assembly, Change, Condition, Effect, Key, Position, Progress, Served, Target, Throughline, Write,
};
use throughline_testkit::{
    Mariadb, MariadbOptions, Memcached, MemcachedOptions, Postgres, PostgresOptions, Scratch,
};

async fn open(url: &str, cache: &str, data: &Path, resources: &str) -> Result<Throughline, ConfigError> {
    let text = format!(
        "data_dir = {data:?}\n[sources.shop]\nurl = \"{url}\"\n[caches.main]\n{cache}\n{resources}\n",
    );
    let settings = Settings::parse(&text, &|_| None)?;
    throughline::install(&settings).await?;
    Assembly::new(settings).open().await
}

const PAYMENT: &str = "[resources.payment]\nsource = \"shop\"\naccess = \"write\"\nwrite = \"write-behind\"\n\
                       behind = { delay = \"never\" }";

fn memcached(server: &Memcached) -> String {
    format!(
        "memcached = {{ servers = [{{ name = \"a\", address = \"{}\" }}], timeout = \"5s\" }}",
        server.address()
    )
}

async fn put(daemon: &Throughline, key: &str, amount: u64) -> Position {
    let change = Change::Put { value: format!("{{\"amount\":{amount}}}").into(), flags: 0 };
    let target = Target::Key(Key::parse(key).unwrap());
    let space = &daemon.listing("payment").unwrap().space;
    match space.write(Write { target, change, condition: Condition::Always }).await.unwrap() {
        Effect::Accepted { receipt, .. } => receipt.position().unwrap(),
        other => panic!("{other:?}"),
    }
}

async fn get(daemon: &Throughline, key: &str) -> (Served, String) {
    let space = &daemon.listing("payment").unwrap().space;
    let read = space.get(&Key::parse(key).unwrap()).await.unwrap();
    let served = read.served;
    (
        served,
        read.record().map_or("none".into(), |record| String::from_utf8_lossy(&record.value).into_owned()),
    )
}

/// The story over a database: accepted, shown, shown without its entry, applied, once; one owner.
async fn story(url: &str, count: impl Fn() -> String) {
    let (cache, folder) = (Memcached::start(MemcachedOptions::default()), Scratch::new());
    let daemon = open(url, &memcached(&cache), &folder.path().join("one"), PAYMENT).await.unwrap();
    let positions =
        [put(&daemon, "1", 100).await, put(&daemon, "2", 200).await, put(&daemon, "1", 150).await];
    assert_eq!(get(&daemon, "1").await, (Served::Hit, "{\"id\":1,\"amount\":150}".to_owned()));
    assert_eq!(count().trim(), "0", "the database hears of it later");
    let behind = daemon.listing("payment").unwrap().behind.clone().unwrap();
    assert_eq!(behind.progress(positions[0]), Progress::Accepted);
    daemon.listing("payment").unwrap().space.invalidate(&Key::parse("1").unwrap()).await.unwrap();
    let (served, value) = get(&daemon, "1").await;
    assert!(matches!(served, Served::Miss { .. }) && value.contains("150"), "{served:?} {value}");

    let refused = open(url, &memcached(&cache), &folder.path().join("two"), PAYMENT).await.unwrap_err();
    assert!(refused.to_string().contains("is written behind by `the daemon on"), "{refused}");

    behind.drain().await.unwrap();
    assert_eq!(count().trim(), "2");
    assert_eq!(behind.progress(positions[0]), Progress::Applied);
    assert_eq!(get(&daemon, "1").await.1, "{\"id\":1,\"amount\":150}");
    assert!(behind.release().await.unwrap());
    open(url, &memcached(&cache), &folder.path().join("two"), PAYMENT).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn over_mariadb_and_memcached_it_is_accepted_shown_and_applied_once() {
    let database = Mariadb::start(MariadbOptions::fast());
    let url = database.create_database("shop");
    database.execute("CREATE TABLE shop.payment (id INT PRIMARY KEY, amount INT NOT NULL)");
    story(&url, || database.execute("SELECT count(*) FROM shop.payment")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_postgresql_and_memcached_it_is_accepted_shown_and_applied_once() {
    let database = Postgres::start(PostgresOptions::fast());
    database.execute("CREATE TABLE payment (id int PRIMARY KEY, amount int NOT NULL)");
    story(&database.url(), || database.execute("SELECT count(*) FROM payment")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_show_an_old_value_is_refused_with_the_reason() {
    let database = Mariadb::start(MariadbOptions::fast());
    let url = database.create_database("shop");
    database.execute(
        "CREATE TABLE shop.payment (id VARCHAR(40) PRIMARY KEY, amount INT NOT NULL);
         CREATE TABLE shop.refund (id INT PRIMARY KEY, amount INT NOT NULL)",
    );
    let folder = Scratch::new();
    let memory = "memory = { capacity = \"8 MiB\" }";
    let spellings = open(&url, memory, folder.path(), PAYMENT).await.unwrap_err();
    assert!(spellings.to_string().contains("several spellings"), "{spellings}");
    let twice = format!(
        "{}\n[resources.other]\nsource = \"shop\"\ntable = \"refund\"",
        PAYMENT.replace("payment", "refund")
    );
    let twice = open(&url, memory, folder.path(), &twice).await.unwrap_err();
    assert!(twice.to_string().contains("over the same table"), "{twice}");
    let idle = "[resources.refund]\nsource = \"shop\"\naccess = \"write\"\nbehind = { delay = \"1s\" }";
    assert!(
        open(&url, memory, folder.path(), idle).await.unwrap_err().to_string().contains("written behind")
    );
    let often = PAYMENT.replace("delay = \"never\"", "schedule = \"often\"").replace("payment", "refund");
    let often = open(&url, memory, folder.path(), &often).await.unwrap_err();
    assert!(often.to_string().contains("cron"), "{often}");
}
