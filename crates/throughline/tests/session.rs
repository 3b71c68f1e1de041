// SPDX-License-Identifier: MIT OR Apache-2.0
//! A caller that goes from one daemon to the other, over a real MariaDB and a real memcached.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in what its tests share")]

use throughline::config::Settings;
use throughline::{Assembly, Key, Read, Resource, Served, Session, Space, Throughline};
use throughline_testkit::{Mariadb, MariadbOptions, Memcached, MemcachedOptions, Proxy, Way};

use std::sync::Arc;

#[derive(serde::Serialize, serde::Deserialize)]
struct Person {
    name: String,
}

struct House {
    _mariadb: Mariadb,
    _memcached: Memcached,
    /// The way of the first daemon to memcached.
    way: Proxy,
    daemons: [Throughline; 2],
}

impl House {
    async fn build(l1: &str) -> Self {
        let mariadb = Mariadb::start(MariadbOptions::fast());
        let url = mariadb.create_database("shop");
        mariadb.execute(
            "use shop; CREATE TABLE person (id BIGINT PRIMARY KEY, name VARCHAR(40) NOT NULL);
             INSERT INTO person VALUES (1, 'Ada'), (2, 'Ben')",
        );
        let memcached = Memcached::start(MemcachedOptions::default());
        let way = Proxy::start(memcached.address());
        let open = async |address: std::net::SocketAddr| {
            let text = format!(
                "[sources.shop]\nurl = \"{url}\"\n[caches.main]\nl1 = {l1}\n\
                 memcached = {{ servers = [{{ name = \"a\", address = \"{address}\" }}], timeout = \"5s\" }}\n\
                 [resources.person]\nsource = \"shop\"\naccess = \"write\"\nlevel = \"bounded\"\n"
            );
            Assembly::new(Settings::parse(&text, &|_| None).unwrap()).open().await.unwrap()
        };
        let daemons = [open(way.address()).await, open(memcached.address()).await];
        Self { _mariadb: mariadb, _memcached: memcached, way, daemons }
    }

    fn space(&self, daemon: usize) -> &Arc<Space> {
        &self.daemons[daemon].listing("person").unwrap().space
    }

    /// Reads both records at the second daemon until they are hits.
    async fn warm(&self) {
        for text in ["1", "2"] {
            while self.space(1).get(&key(text)).await.unwrap().served != Served::Hit {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Writes record 1 at the first daemon.
    async fn write(&self, session: &mut Session) {
        let people: Resource<u64, Person> = self.daemons[0].resource("person").unwrap();
        people.put(&1, &Person { name: "Grace".into() }).await.unwrap();
        session.wrote(people.space(), &key("1"));
    }
}

fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

fn text(read: &Read) -> &str {
    std::str::from_utf8(&read.record().unwrap().value).unwrap()
}

/// What the caller takes with it to the second daemon.
fn carried(session: &Session) -> Session {
    assert!(!session.is_empty());
    session.to_string().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_sees_its_own_write_where_the_old_entry_still_is() {
    let house = House::build("\"off\"").await;
    house.warm().await;
    house.way.set(Way::Cut);
    let mut session = Session::default();
    house.write(&mut session).await;
    let there = carried(&session);
    let without = house.space(1).get(&key("1")).await.unwrap();
    assert!(text(&without).contains("Ada"), "this is what a session is for");
    assert!(text(&there.get(house.space(1), &key("1")).await.unwrap()).contains("Grace"));
    let other = there.get(house.space(1), &key("2")).await.unwrap();
    assert_eq!(other.served, Served::Hit, "only what it wrote is read at the source");

    house.way.heal();
    while house.space(0).stale_elsewhere_ms(&key("1")) > 0 {
        tokio::task::yield_now().await;
    }
    assert!(text(&house.space(1).get(&key("1")).await.unwrap()).contains("Grace"));
    let mut after = Session::default();
    house.write(&mut after).await;
    assert!(after.is_empty(), "a confirmed write needs no session");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_sees_its_own_write_where_an_old_copy_still_is() {
    let house = House::build("{ ttl = \"60s\" }").await;
    house.warm().await;
    let mut session = Session::default();
    house.write(&mut session).await;
    let there = carried(&session);
    let without = house.space(1).get(&key("1")).await.unwrap();
    assert!(text(&without).contains("Ada"), "this is what a session is for");
    assert!(text(&there.get(house.space(1), &key("1")).await.unwrap()).contains("Grace"));
}
