// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a hit and a write cost in round trips, over a real MariaDB and a real memcached.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in what its tests share")]

use throughline::config::Settings;
use throughline::{Assembly, Change, Condition, Effect, Key, Level, Served, Target, Throughline, Write};
use throughline_testkit::{Mariadb, MariadbOptions, Memcached, MemcachedOptions};

async fn open(mariadb: &Mariadb, memcached: &Memcached) -> Throughline {
    let url = mariadb.create_database("shop");
    let rows = "INSERT INTO shop.person VALUES (1, 'Ada')";
    mariadb.execute(&format!(
        "CREATE TABLE shop.person (id BIGINT PRIMARY KEY, name VARCHAR(40) NOT NULL); {rows}"
    ));
    let text = format!(
        "[sources.shop]\nurl = \"{url}\"\n[caches.main]\nmemcached = {{ servers = [\"{}\"] }}\n\
         [resources.person]\nsource = \"shop\"\naccess = \"write\"\nlevel = \"strict\"\n",
        memcached.address(),
    );
    let settings = Settings::parse(&text, &|_| None).unwrap();
    throughline::install(&settings).await.unwrap();
    Assembly::new(settings).open().await.unwrap()
}

fn count(throughline: &Throughline, role: &str, name: &str) -> u64 {
    let gauges = throughline.gauges();
    gauges.iter().find(|gauge| gauge.role == role && gauge.name == name).expect("the gauge").number
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_hit_costs_one_look_up_and_a_strict_write_three_statements_and_one_mark() {
    let mariadb = Mariadb::start(MariadbOptions::default());
    let memcached = Memcached::start(MemcachedOptions::default());
    let throughline = open(&mariadb, &memcached).await;
    let listing = throughline.listing("person").unwrap();
    assert_eq!(listing.space.policy().level, Level::Strict);
    let (space, key) = (&listing.space, Key::parse("1").unwrap());
    // The first look-ups may find the connection still being made.
    while space.get(&key).await.unwrap().served != Served::Hit {
        tokio::task::yield_now().await;
    }
    let cache = |name| count(&throughline, "cache", name);
    let source = |name| count(&throughline, "source", name);

    let before = (cache("commands"), source("read_statements"));
    for _ in 0..10 {
        assert_eq!(space.get(&key).await.unwrap().served, Served::Hit);
    }
    assert_eq!((cache("commands") - before.0, source("read_statements") - before.1), (10, 0));

    let before = (cache("commands"), source("write_statements"), source("read_statements"));
    let views = count(&throughline, "fence", "views");
    let change = Change::Put { value: r#"{"id":1,"name":"Grace"}"#.into(), flags: 0 };
    let write = Write { target: Target::Key(key.clone()), change, condition: Condition::Always };
    assert!(matches!(space.write(write).await.unwrap(), Effect::Stored { created: false, .. }));
    // What the writer asks of the control tables runs beside the mark, on another connection.
    let asked = count(&throughline, "fence", "views") - views;
    assert!(asked >= 1, "the rows are read after the locks were granted");
    // The statement, the read-back, the commit; the mark, which is waited for, and the publish, which is not.
    assert_eq!(source("write_statements") - before.1, 3);
    assert_eq!(cache("commands") - before.0, 2);

    let read = space.get(&key).await.unwrap();
    assert_eq!((read.served, source("read_statements") - before.2), (Served::Hit, 0));
    assert_eq!(read.record().unwrap().value.as_ref(), br#"{"id":1,"name":"Grace"}"#);
}
