// SPDX-License-Identifier: MIT OR Apache-2.0
//! A table that one daemon writes behind is served by no other, in whatever way and under whatever name.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in what its tests share")]

#[path = "../fence/database.rs"]
mod database;
mod log;
mod moved;
mod rights;
mod running;
mod spelling;
mod sqlite;
mod whole;

use std::path::Path;
use std::time::Duration;

use throughline::config::{ConfigError, Settings};
use throughline::{Assembly, Change, Condition, Effect, Key, Result, Target, Throughline, Write};
use throughline_testkit::{Memcached, MemcachedOptions, Scratch};

use self::database::{Database, Kind, over_every_database};

over_every_database! {
    a_table_that_another_daemon_writes_behind_is_refused_until_it_is_given_up,
    what_waits_in_a_stopped_daemon_s_journal_keeps_others_out,
    a_daemon_s_own_claim_does_not_keep_itself_out_when_nothing_waits,
}

const SCHEMA: &str = "CREATE TABLE payment (id INT PRIMARY KEY, amount INT NOT NULL); \
                      CREATE TABLE refund (id INT PRIMARY KEY, amount INT NOT NULL); \
                      INSERT INTO payment VALUES (1, 1)";
/// Longer than anything that is waited for here.
const LIMIT: Duration = Duration::from_secs(30);

const BEHIND: &str = "access = \"write\"\nwrite = \"write-behind\"\nbehind = { delay = \"never\" }";
const THROUGH: &str = "access = \"write\"";
const READ: &str = "access = \"read\"";

/// A database with tables, a memcached, and a folder for each daemon.
struct House {
    url: String,
    memcached: Memcached,
    folder: Scratch,
}

impl House {
    fn new(kind: Kind, name: &str) -> Self {
        let database = Database::shared(kind);
        let url = database.create_database(name);
        database.execute_in(name, SCHEMA);
        Self::over(url)
    }

    fn over(url: String) -> Self {
        Self { url, memcached: Memcached::start(MemcachedOptions::default()), folder: Scratch::new() }
    }

    /// What the daemon of the folder `data` serves: `name` over `table`.
    fn settings(&self, url: &str, data: &str, (name, table, way): (&str, &str, &str)) -> Settings {
        let resource = format!("[resources.{name}]\nsource = \"shop\"\ntable = \"{table}\"\n{way}\n");
        self.parse(data, &format!("url = \"{url}\"\n"), &resource)
    }

    /// Settings with these lines about the source, and these about resources.
    fn parse(&self, data: &str, source: &str, resources: &str) -> Settings {
        let data: &Path = &self.folder.path().join(data);
        let text = format!(
            "data_dir = {data:?}\n[sources.shop]\n{source}[caches.main]\n\
             memcached = {{ servers = [{{ name = \"a\", address = \"{}\" }}], timeout = \"5s\" }}\n{resources}",
            self.memcached.address()
        );
        Settings::parse(&text, &|_| None).unwrap()
    }

    async fn install(&self) {
        let settings = self.settings(&self.url, "none", ("payment", "payment", READ));
        throughline::install(&settings).await.unwrap();
    }

    async fn open(
        &self,
        data: &str,
        resource: (&str, &str, &str),
    ) -> std::result::Result<Throughline, ConfigError> {
        Assembly::new(self.settings(&self.url, data, resource)).open().await
    }

    /// What `throughline check` sees.
    async fn check(
        &self,
        data: &str,
        resource: (&str, &str, &str),
    ) -> std::result::Result<Throughline, ConfigError> {
        Assembly::new(self.settings(&self.url, data, resource)).checking().open().await
    }

    /// The error of a start.
    async fn refused(&self, data: &str, resource: (&str, &str, &str)) -> ConfigError {
        self.open(data, resource).await.expect_err("it is refused")
    }
}

async fn put(daemon: &Throughline, name: &str, amount: u64) -> Result<Effect> {
    let change = Change::Put { value: format!("{{\"amount\":{amount}}}").into(), flags: 0 };
    let write = Write { target: Target::Key(key()), change, condition: Condition::Always };
    daemon.listing(name).unwrap().space.write(write).await
}

async fn get(daemon: &Throughline, name: &str) -> Result<String> {
    let read = daemon.listing(name).unwrap().space.get(&key()).await?;
    Ok(String::from_utf8(read.record().unwrap().value.to_vec()).unwrap())
}

fn key() -> Key {
    Key::parse("1").unwrap()
}

/// As a daemon stops: what waits is applied and given up.
async fn stop(daemon: Throughline) {
    assert!(daemon.drain(LIMIT).await.is_empty());
    kill(daemon).await;
}

/// What waits stays in the journal, and the claim in the database.
async fn kill(daemon: Throughline) {
    assert!(daemon.shut_down(LIMIT).await);
}

async fn a_table_that_another_daemon_writes_behind_is_refused_until_it_is_given_up(kind: Kind) {
    let house = House::new(kind, "owners_refused");
    house.install().await;
    let owner = house.open("one", ("payment", "payment", BEHIND)).await.unwrap();
    put(&owner, "payment", 100).await.unwrap();
    for (name, way) in
        [("payment", READ), ("payment", THROUGH), ("paid", READ), ("paid", THROUGH), ("paid", BEHIND)]
    {
        let refused = house.refused("two", (name, "payment", way)).await;
        let (text, help) = (refused.to_string(), refused.help.unwrap_or_default());
        assert!(text.contains(&format!("resource `{name}` cannot be served: its table `payment`")), "{text}");
        assert!(text.contains("is written behind by `the daemon on"), "{name} {way}: {text}");
        assert!(text.contains("/one/journal"), "which daemon: {text}");
        assert!(help.contains("throughline drain"), "{help}");
        assert!(help.contains("delete the rows of that journal from `tl_applied`"), "{help}");
    }
    let checked = house.check("two", ("paid", "payment", READ)).await.unwrap_err();
    assert!(checked.to_string().contains("/one/journal"), "`throughline check` says so, too: {checked}");
    // Another table may be served in whatever way, under the same name too.
    kill(house.open("two", ("payment", "refund", THROUGH)).await.unwrap()).await;
    stop(owner).await;
    let reader = house.open("two", ("payment", "payment", READ)).await.unwrap();
    assert_eq!(get(&reader, "payment").await.unwrap(), "{\"id\":1,\"amount\":100}");
    kill(house.open("three", ("paid", "payment", BEHIND)).await.unwrap()).await;
}

async fn what_waits_in_a_stopped_daemon_s_journal_keeps_others_out(kind: Kind) {
    let house = House::new(kind, "owners_stopped");
    house.install().await;
    let owner = house.open("one", ("payment", "payment", BEHIND)).await.unwrap();
    put(&owner, "payment", 100).await.unwrap();
    kill(owner).await;
    let refused = house.refused("two", ("paid", "payment", READ)).await;
    assert!(refused.to_string().contains("/one/journal"), "{refused}");
    // The same folder knows what waits, whatever the table is called now.
    let changed = house.refused("one", ("payment", "payment", THROUGH)).await;
    assert!(changed.to_string().contains("the journal holds accepted writes"), "{changed}");
    for way in [READ, BEHIND] {
        let renamed = house.refused("one", ("paid", "payment", way)).await;
        assert!(
            renamed.to_string().contains("of resource `payment`, which is over the same table"),
            "{renamed}"
        );
    }
    let owner = house.open("one", ("payment", "payment", BEHIND)).await.unwrap();
    stop(owner).await;
    kill(house.open("two", ("paid", "payment", READ)).await.unwrap()).await;
}

async fn a_daemon_s_own_claim_does_not_keep_itself_out_when_nothing_waits(kind: Kind) {
    let house = House::new(kind, "owners_own");
    house.install().await;
    kill(house.open("one", ("payment", "payment", BEHIND)).await.unwrap()).await;
    house.refused("two", ("payment", "payment", THROUGH)).await;
    kill(house.check("one", ("payment", "payment", THROUGH)).await.unwrap()).await;
    house.refused("two", ("payment", "payment", THROUGH)).await;
    let through = house.open("one", ("payment", "payment", THROUGH)).await.unwrap();
    put(&through, "payment", 7).await.unwrap();
    // It has given the table up.
    let reader = house.open("two", ("paid", "payment", READ)).await.unwrap();
    assert_eq!(get(&reader, "paid").await.unwrap(), "{\"id\":1,\"amount\":7}");
}
