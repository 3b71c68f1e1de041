// SPDX-License-Identifier: MIT OR Apache-2.0
//! What other programs write to the database is seen, over real servers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in what its tests share")]

use std::sync::OnceLock;
use std::time::Duration;

use throughline::config::Settings;
use throughline::{Assembly, Change, Condition, Key, OutboxPlan, Read, Served, Target, Throughline, Write};
use throughline_testkit::{
    Mariadb, MariadbOptions, Memcached, MemcachedOptions, Postgres, PostgresOptions, Scratch,
};

/// News are polled ten times a second; a busy machine gets some time on top.
const SOON: Duration = Duration::from_secs(8);

fn server() -> &'static Mariadb {
    static SERVER: OnceLock<Mariadb> = OnceLock::new();
    SERVER.get_or_init(|| Mariadb::start(MariadbOptions::fast()))
}

/// A database with a table `item`, whose rows 1 to 3 hold `old`, and an outbox.
async fn database(name: &str, cache: &str) -> Settings {
    let url = server().create_database(name);
    sql(
        name,
        "create table item (id int primary key, v varchar(40)); insert into item values (1,'old'),(2,'old'),(3,'old')",
    );
    let text = format!(
        "[sources.shop]\nurl = \"{url}\"\n[caches.main]\n{cache}\n\
         [resources.item]\nsource = \"shop\"\naccess = \"write\"\n"
    );
    let settings = Settings::parse(&text, &|_| None).unwrap();
    OutboxPlan::Install(vec!["item".to_owned()]).carry_out(&settings.sources[0]).await.unwrap();
    settings
}

fn sql(database: &str, text: &str) -> String {
    server().execute(&format!("use `{database}`; {text}"))
}

async fn open(settings: &Settings) -> Throughline {
    let daemon = Assembly::new(settings.clone()).open().await.unwrap();
    // It begins by taking every table as changed; what is filled later stays.
    let begun = || gauge(&daemon, "tables") > 0;
    soon("the feed begins", async || begun()).await;
    daemon
}

fn memcached(server: &Memcached) -> String {
    format!("memcached = {{ servers = [\"{}\"] }}", server.address())
}

const MEMORY: &str = "memory = { capacity = \"8 MiB\" }";

fn gauge(daemon: &Throughline, name: &str) -> u64 {
    let gauges = daemon.gauges();
    gauges.iter().find(|gauge| gauge.role == "feed" && gauge.name == name).map_or(0, |gauge| gauge.number)
}

async fn read(daemon: &Throughline, key: &str) -> Read {
    daemon.listing("item").unwrap().space.get(&Key::parse(key).unwrap()).await.unwrap()
}

async fn value(daemon: &Throughline, key: &str) -> String {
    let record = read(daemon, key).await.into_record().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&record.value).unwrap();
    json["v"].as_str().unwrap().to_owned()
}

async fn put(daemon: &Throughline, key: &str, value: &str) {
    let change = Change::Put { value: format!(r#"{{"v":"{value}"}}"#).into(), flags: 0 };
    let write = Write { target: Target::Key(Key::parse(key).unwrap()), change, condition: Condition::Always };
    daemon.listing("item").unwrap().space.write(write).await.unwrap();
}

async fn soon(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let all = async {
        while !condition().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, all).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

/// Reads until the entry is a hit: a table that was just taken as changed needs some seconds. And a second longer,
/// because memcached tells ages in whole seconds: what is stored at once may look as old as what is not used yet.
async fn warm(daemon: &Throughline, key: &str) {
    let limit = Duration::from_secs(20);
    let warmed = async {
        loop {
            let read = read(daemon, key).await;
            if read.served == Served::Hit && read.age_ms() >= 1_000 {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(limit, warmed).await.expect("a quiet key becomes a hit");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_daemon_over_a_shared_cache_sees_it_and_own_writes_stay_published() {
    let cache = Memcached::start(MemcachedOptions::default());
    let settings = database("others_shared", &memcached(&cache)).await;
    let (one, two) = (open(&settings).await, open(&settings).await);
    assert!(one.listing("item").unwrap().about.others_seen.contains("within 0.1 s, row by row"));
    warm(&one, "1").await;
    warm(&two, "2").await;
    sql("others_shared", "update item set v = 'theirs' where id = 1; delete from item where id = 3");
    soon("the update", async || value(&one, "1").await == "theirs").await;
    assert_eq!(value(&two, "1").await, "theirs");
    soon("the delete", async || read(&two, "3").await.record().is_none()).await;
    // Our own write: what was published is still there when the news behind it have arrived.
    put(&one, "2", "ours").await;
    sql("others_shared", "update item set v = 'again' where id = 1");
    soon("the later news", async || value(&two, "1").await == "again").await;
    let read = read(&two, "2").await;
    assert_eq!((read.served, value(&two, "2").await), (Served::Hit, "ours".to_owned()));
    let fed = |daemon: &Throughline| daemon.listing("item").unwrap().space.stats().invalidations_fed.get();
    soon("an update, a delete and an update of others", async || fed(&one) + fed(&two) == 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memcached_may_be_down_during_the_news() {
    let cache = Memcached::start(MemcachedOptions::default());
    let settings = database("others_down", &memcached(&cache)).await;
    let daemon = open(&settings).await;
    warm(&daemon, "1").await;
    cache.pause();
    sql("others_down", "update item set v = 'theirs' where id = 1");
    soon("the failures", async || gauge(&daemon, "errors") > 2).await;
    assert_ne!(sql("others_down", "select count(*) from tl_outbox").trim(), "0");
    cache.resume();
    soon("the update", async || value(&daemon, "1").await == "theirs").await;
    soon("the receipt", async || sql("others_down", "select count(*) from tl_outbox").trim() == "0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn daemons_with_caches_of_their_own_see_it_and_each_other_s_writes() {
    let settings = database("others_memory", MEMORY).await;
    let (one, two) = (open(&settings).await, open(&settings).await);
    for daemon in [&one, &two] {
        warm(daemon, "1").await;
        warm(daemon, "2").await;
    }
    sql("others_memory", "update item set v = 'theirs' where id = 1");
    soon("one", async || value(&one, "1").await == "theirs").await;
    soon("two", async || value(&two, "1").await == "theirs").await;
    put(&one, "2", "one's").await;
    soon("the other daemon's write", async || value(&two, "2").await == "one's").await;
    assert_eq!(read(&one, "2").await.served, Served::Hit, "it is not told what it wrote itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgresql_it_is_seen_and_own_writes_stay_published() {
    let (database, cache) =
        (Postgres::start(PostgresOptions::fast()), Memcached::start(MemcachedOptions::default()));
    database.execute("create table item (id int primary key, v varchar(40)); insert into item values (1, 'old'), (2, 'old')");
    let text = format!(
        "[sources.shop]\nurl = \"{}\"\n[caches.main]\n{}\n\
         [resources.item]\nsource = \"shop\"\naccess = \"write\"\n",
        database.url(),
        memcached(&cache)
    );
    let settings = Settings::parse(&text, &|_| None).unwrap();
    OutboxPlan::Install(vec!["item".to_owned()]).carry_out(&settings.sources[0]).await.unwrap();
    let daemon = open(&settings).await;
    assert!(daemon.listing("item").unwrap().about.others_seen.contains("within 0.1 s, row by row"));
    warm(&daemon, "1").await;
    put(&daemon, "2", "ours").await;
    database.execute("update item set v = 'theirs' where id = 1");
    soon("the update", async || value(&daemon, "1").await == "theirs").await;
    assert_eq!((read(&daemon, "2").await.served, value(&daemon, "2").await), (Served::Hit, "ours".into()));
    OutboxPlan::Remove.carry_out(&settings.sources[0]).await.unwrap();
    assert_eq!(database.execute("select count(*) from pg_trigger where not tgisinternal").trim(), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_makes_old_entries_unusable_in_time() {
    let database = Mariadb::start(MariadbOptions::fast());
    database
        .execute("create table item (id int primary key, v varchar(40)); insert into item values (1, 'old')");
    let text = format!(
        "[sources.shop]\nurl = \"{}\"\n[caches.main]\n{MEMORY}\n\
         [resources.item]\nsource = \"shop\"\nmax_staleness = \"1s\"\n",
        database.url()
    );
    let settings = Settings::parse(&text, &|_| None).unwrap();
    OutboxPlan::Install(vec!["item".to_owned()]).carry_out(&settings.sources[0]).await.unwrap();
    let daemon = open(&settings).await;
    warm(&daemon, "1").await;
    database.kill();
    let space = &daemon.listing("item").unwrap().space;
    soon("late news", async || space.is_news_late()).await;
    let key = Key::parse("1").unwrap();
    soon("no answer rather than an old one", async || space.get(&key).await.is_err()).await;
    database.restart();
    database.execute("update item set v = 'new' where id = 1");
    soon("news again", async || !space.is_news_late()).await;
    assert_eq!(value(&daemon, "1").await, "new");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_sqlite_file_with_an_outbox_only_changed_rows_are_dropped() {
    let scratch = Scratch::new();
    let path = scratch.path().join("shop.db");
    let text = format!(
        "[sources.shop]\nurl = \"sqlite:{}\"\n[caches.main]\n{MEMORY}\n\
         [resources.item]\nsource = \"shop\"\naccess = \"write\"\n",
        path.display()
    );
    let other = rusqlite::Connection::open(&path).unwrap();
    other
        .execute_batch(
            "CREATE TABLE item (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO item VALUES (1,'old'),(2,'old')",
        )
        .unwrap();
    let settings = Settings::parse(&text, &|_| None).unwrap();
    OutboxPlan::Install(vec!["item".to_owned()]).carry_out(&settings.sources[0]).await.unwrap();
    let daemon = Assembly::new(settings).open().await.unwrap();
    assert_eq!((value(&daemon, "1").await, value(&daemon, "2").await), ("old".into(), "old".into()));
    other.execute_batch("UPDATE item SET v = 'theirs' WHERE id = 1").unwrap();
    soon("the update", async || value(&daemon, "1").await == "theirs").await;
    assert_eq!(read(&daemon, "2").await.served, Served::Hit);
    put(&daemon, "2", "ours").await;
    other.execute_batch("UPDATE item SET v = 'again' WHERE id = 1").unwrap();
    soon("the later news", async || value(&daemon, "1").await == "again").await;
    assert_eq!((read(&daemon, "2").await.served, value(&daemon, "2").await), (Served::Hit, "ours".into()));
    OutboxPlan::Remove.carry_out(&Settings::parse(&text, &|_| None).unwrap().sources[0]).await.unwrap();
    soon("the removal", async || read(&daemon, "2").await.served != Served::Hit).await;
    put(&daemon, "2", "after").await;
}
