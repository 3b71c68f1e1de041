// SPDX-License-Identifier: MIT OR Apache-2.0
//! Three daemons over a real database and a real memcached, each with a way of its own to memcached that can be cut.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in what its tests share")]

mod database;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use throughline::config::Settings;
use throughline::{Assembly, Bypass, Change, Condition, Effect, Key, Level, Mode, Result, Served, Target};
use throughline::{Throughline, Write};
use throughline_testkit::{Memcached, MemcachedOptions, Proxy, Way};
use tokio::time::{Instant, timeout};

use self::database::{Database, Kind, over_every_database};

over_every_database! {
    a_daemon_that_loses_its_memcached_writes_on_and_nobody_reads_stale,
    a_restarted_memcached_is_used_again_without_a_fence,
    hits_stop_within_a_lease_when_the_database_is_gone,
    an_operator_drops_every_entry_and_switches_the_mode_for_all,
    two_servers_under_one_name_are_never_both_used,
}

const SCHEMA: &str = "CREATE TABLE person (id BIGINT PRIMARY KEY, version BIGINT NOT NULL); \
                      INSERT INTO person VALUES (1, 0), (2, 0)";

/// L, shorter than in production, so that tests need not wait for long.
const LEASE_MS: u64 = 600;
/// Longer than anything that is waited for here.
const LIMIT: Duration = Duration::from_secs(30);

struct Fleet {
    database: &'static Database,
    url: String,
    name: &'static str,
    memcached: Memcached,
    proxies: Vec<Proxy>,
    daemons: Vec<Throughline>,
}

impl Fleet {
    async fn start(kind: Kind, name: &'static str) -> Self {
        let memcached = Memcached::start(MemcachedOptions::default());
        let database = Database::shared(kind);
        let url = database.create_database(name);
        database.execute_in(name, SCHEMA);
        let proxies: Vec<Proxy> = (0..3).map(|_| Proxy::start(memcached.address())).collect();
        let first = settings(&url, &proxies[0].address().to_string());
        throughline::install(&first).await.unwrap();
        database.execute_in(name, &format!("UPDATE tl_config SET lease_ms = {LEASE_MS}"));
        let mut daemons = Vec::new();
        for proxy in &proxies {
            let settings = settings(&url, &proxy.address().to_string());
            daemons.push(Assembly::new(settings).open().await.unwrap());
        }
        let fleet = Self { database, url, name, memcached, proxies, daemons };
        fleet.until("everybody hits", async || fleet.hits().await == 3).await;
        fleet
    }

    async fn put(&self, daemon: usize, version: u64) -> Result<Effect> {
        let listing = self.daemons[daemon].listing("person").unwrap();
        assert_eq!(listing.space.policy().level, Level::Strict);
        let value = format!("{{\"version\":{version}}}");
        let change = Change::Put { value: value.into(), flags: 0 };
        let write = Write { target: Target::Key(key()), change, condition: Condition::Always };
        listing.space.write(write).await
    }

    /// The version that a daemon reads, and where from.
    async fn get(&self, daemon: usize) -> (u64, Served) {
        let read = self.daemons[daemon].listing("person").unwrap().space.get(&key()).await.unwrap();
        let text = String::from_utf8(read.record().unwrap().value.to_vec()).unwrap();
        let digits: String =
            text[text.find("version").unwrap()..].chars().filter(char::is_ascii_digit).collect();
        (digits.parse().unwrap(), read.served)
    }

    /// How many daemons hit.
    async fn hits(&self) -> usize {
        let mut hits = 0;
        for daemon in 0..self.daemons.len() {
            hits += usize::from(self.get(daemon).await.1 == Served::Hit);
        }
        hits
    }

    /// `state generation` of the memcached's row.
    fn row(&self) -> (String, u64) {
        let row = self.database.execute_in(self.name, "SELECT state, generation FROM tl_node");
        let (state, generation) = row.trim().split_once('\t').unwrap();
        (state.to_owned(), generation.parse().unwrap())
    }

    fn count(&self, daemon: usize, name: &str) -> u64 {
        let gauges = self.daemons[daemon].gauges();
        gauges.iter().find(|gauge| gauge.role == "fence" && gauge.name == name).unwrap().number
    }

    async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        let begun = Instant::now();
        while !is_so().await {
            assert!(begun.elapsed() < LIMIT, "{what}: not after {LIMIT:?}");
            tokio::task::yield_now().await;
        }
    }
}

fn key() -> Key {
    Key::parse("1").unwrap()
}

fn settings(url: &str, cache: &str) -> Settings {
    let text = format!(
        "[sources.shop]\nurl = \"{url}\"\n[caches.main]\n\
         memcached = {{ servers = [{{ name = \"a\", address = \"{cache}\" }}], timeout = \"200ms\" }}\n\
         [resources.person]\nsource = \"shop\"\naccess = \"write\"\nlevel = \"strict\"\n"
    );
    Settings::parse(&text, &|_| None).unwrap()
}

async fn a_daemon_that_loses_its_memcached_writes_on_and_nobody_reads_stale(kind: Kind) {
    let fleet = Fleet::start(kind, "fence_cut").await;
    let (acked, floor, stale) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let done = AtomicBool::new(false);
    let before = fleet.row().1;
    let read = async |daemon: usize| {
        while !done.load(Ordering::SeqCst) {
            let least = floor.load(Ordering::SeqCst).max(acked.load(Ordering::SeqCst));
            let (version, _) = fleet.get(daemon).await;
            if version < least {
                stale.fetch_add(1, Ordering::SeqCst);
            }
            floor.fetch_max(version, Ordering::SeqCst);
            tokio::task::yield_now().await;
        }
    };
    let write = async {
        let mut slowest = Duration::ZERO;
        for number in 1..=300_u64 {
            match number {
                60 => fleet.proxies[0].set(Way::Cut),
                120 => fleet.proxies[0].heal(),
                // Nothing arrives, and no connection breaks.
                180 => fleet.proxies[1].set(Way::Silent),
                240 => fleet.proxies[1].heal(),
                _ => {}
            }
            let begun = Instant::now();
            fleet.put(number as usize % 3, number).await.unwrap();
            acked.store(number, Ordering::SeqCst);
            slowest = slowest.max(begun.elapsed());
        }
        done.store(true, Ordering::SeqCst);
        slowest
    };
    let (slowest, (), (), ()) = tokio::join!(write, read(0), read(1), read(2));
    assert_eq!(stale.into_inner(), 0);
    assert!(slowest >= Duration::from_millis(LEASE_MS), "one write waited for the others' leases");
    assert!(slowest < Duration::from_millis(LEASE_MS + 3_000), "{slowest:?}");
    assert!(fleet.row().1 > before, "under a new generation");
    fleet.until("hits come back", async || fleet.hits().await == 3).await;
}

async fn a_restarted_memcached_is_used_again_without_a_fence(kind: Kind) {
    let fleet = Fleet::start(kind, "fence_restart").await;
    let (_, generation) = fleet.row();
    fleet.put(0, 1).await.unwrap();
    fleet.memcached.restart();
    fleet.until("hits come back", async || fleet.hits().await == 3).await;
    assert_eq!(fleet.get(1).await.0, 1);
    // A daemon whose machine had no time for its mark may have begun a fence nevertheless; it is counted when it is committed.
    if fleet.row() != ("0".to_owned(), generation) {
        let fences = || (0..3).map(|daemon| fleet.count(daemon, "fences_started")).sum::<u64>();
        fleet.until("who changed the generation says so", async || fences() > 0).await;
    }
    fleet.put(2, 2).await.unwrap();
    assert_eq!(fleet.get(0).await.0, 2);
}

async fn hits_stop_within_a_lease_when_the_database_is_gone(kind: Kind) {
    const NAME: &str = "fence_gone";
    let database = Database::start(kind);
    let url = database.create_database(NAME);
    database.execute_in(NAME, SCHEMA);
    let memcached = Memcached::start(MemcachedOptions::default());
    let way = Proxy::start(database.address());
    let url = url.replace(&database.address().to_string(), &way.address().to_string());
    let settings = settings(&url, &memcached.address().to_string());
    throughline::install(&settings).await.unwrap();
    database.execute_in(NAME, &format!("UPDATE tl_config SET lease_ms = {LEASE_MS}"));
    let throughline = Assembly::new(settings).open().await.unwrap();
    let space = throughline.listing("person").unwrap().space.clone();
    timeout(LIMIT, async { while space.get(&key()).await.unwrap().served != Served::Hit {} }).await.unwrap();
    way.set(Way::Cut);
    let begun = Instant::now();
    // A hit, until the lease ends; then the source is asked, which is gone.
    while space.get(&key()).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let took = begun.elapsed();
    assert!(took <= Duration::from_millis(LEASE_MS + 400), "{took:?}");
    assert!(space.stats().bypass_control_lost.get() > 0);
    way.heal();
    timeout(LIMIT, async {
        while !space.get(&key()).await.is_ok_and(|read| read.served == Served::Hit) {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

async fn an_operator_drops_every_entry_and_switches_the_mode_for_all(kind: Kind) {
    let fleet = Fleet::start(kind, "fence_operator").await;
    fleet.database.execute_in(fleet.name, "UPDATE person SET version = 7");
    assert_eq!(fleet.get(1).await.0, 0, "another program's write is not seen");
    fleet.daemons[2].listing("person").unwrap().space.invalidate_all("a test").await.unwrap();
    for daemon in 0..3 {
        assert_eq!(fleet.get(daemon).await.0, 7);
    }
    fleet.daemons[0].listing("person").unwrap().space.set_mode(Mode::Source).await.unwrap();
    let everywhere = async || {
        let mut modes = fleet.daemons.iter().map(|daemon| daemon.listing("person").unwrap().space.mode());
        modes.all(|mode| mode == Mode::Source)
    };
    fleet.until("the mode is everybody's", everywhere).await;
    assert_eq!(fleet.get(1).await.1, Served::Bypass(Bypass::Mode));
}

/// Two daemons call different servers by one name. Whatever is written through one must be seen through the other.
async fn two_servers_under_one_name_are_never_both_used(kind: Kind) {
    let fleet = Fleet::start(kind, "fence_astray").await;
    let other = Memcached::start(MemcachedOptions::default());
    let astray = Assembly::new(settings(&fleet.url, &other.address().to_string())).open().await.unwrap();
    let astray = astray.listing("person").unwrap().space.clone();
    // Long enough for a fence to come and pass.
    let begun = Instant::now();
    let mut version = 0_u64;
    while begun.elapsed() < Duration::from_millis(4 * LEASE_MS) {
        version += 1;
        fleet.put(version as usize % 3, version).await.unwrap();
        let read = astray.get(&key()).await.unwrap();
        let text = String::from_utf8(read.record().unwrap().value.to_vec()).unwrap();
        assert!(text.contains(&format!("\"version\":{version}")), "{text} after {version}");
        let (seen, _) = fleet.get(0).await;
        assert_eq!(seen, version);
    }
    assert_eq!(other.address().ip(), fleet.memcached.address().ip());
}
