// SPDX-License-Identifier: MIT OR Apache-2.0
//! Daemons over several memcached servers, with a real MariaDB.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in what its tests share")]

use std::time::Duration;

use throughline::config::Settings;
use throughline::{Assembly, Key, Served, Throughline};
use throughline_testkit::{Mariadb, MariadbOptions, Memcached, MemcachedOptions};

const ROWS: usize = 60;

async fn open(url: &str, servers: &str) -> Throughline {
    let text = format!(
        "[sources.shop]\nurl = \"{url}\"\n[caches.main]\nmemcached = {{ servers = [{servers}], timeout = \"5s\" }}\n\
         [resources.person]\nsource = \"shop\"\naccess = \"write\"\n",
    );
    let settings = Settings::parse(&text, &|_| None).unwrap();
    throughline::install(&settings).await.unwrap();
    Assembly::new(settings).open().await.unwrap()
}

/// How the record `number` was read.
async fn served(throughline: &Throughline, number: usize) -> Served {
    let space = &throughline.listing("person").unwrap().space;
    space.get(&Key::parse(&number.to_string()).unwrap()).await.unwrap().served
}

/// Reads everything until all of it is cached.
async fn warm(throughline: &Throughline) {
    let all_hit = async {
        for number in 1..=ROWS {
            while served(throughline, number).await != Served::Hit {
                tokio::task::yield_now().await;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), all_hit).await.expect("every record is cached");
}

fn gauge(throughline: &Throughline, node: &str, name: &str) -> u64 {
    let gauges = throughline.gauges();
    let wanted = gauges.iter().find(|gauge| gauge.node.as_deref() == Some(node) && gauge.name == name);
    wanted.expect("the gauge").number
}

#[tokio::test(flavor = "multi_thread")]
async fn daemons_agree_on_each_key_s_server_whatever_the_order_of_their_lists() {
    let mariadb = Mariadb::start(MariadbOptions::default());
    let url = mariadb.create_database("shop");
    let rows: Vec<String> = (1..=ROWS).map(|id| format!("({id}, 'name')")).collect();
    mariadb.execute(&format!(
        "CREATE TABLE shop.person (id BIGINT PRIMARY KEY, name VARCHAR(40) NOT NULL); \
         INSERT INTO shop.person VALUES {}",
        rows.join(",")
    ));
    let servers = ["a", "b"].map(|name| (name, Memcached::start(MemcachedOptions::default())));
    let listed = |place: usize| {
        let (name, server) = &servers[place];
        format!("{{ name = \"{name}\", address = \"{}\" }}", server.address())
    };

    let first = open(&url, &format!("{}, {}", listed(0), listed(1))).await;
    warm(&first).await;
    let second = open(&url, &format!("{}, {}", listed(1), listed(0))).await;
    warm(&second).await;
    let source = |throughline: &Throughline| {
        let gauges = throughline.gauges();
        gauges.iter().find(|gauge| gauge.name == "read_statements").expect("the gauge").number
    };
    assert_eq!(source(&second), 0, "it found everything where the first one had put it");
    for name in ["a", "b"] {
        assert!(gauge(&second, name, "commands") > 10, "server {name} keeps its share");
        assert_eq!(gauge(&second, name, "up"), 1);
    }

    servers[0].1.kill();
    let gone = async {
        while gauge(&second, "a", "up") == 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.expect("the death is noticed");
    let mut hits = 0;
    for number in 1..=ROWS {
        match served(&second, number).await {
            Served::Hit => hits += 1,
            Served::Bypass(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!((10..ROWS - 10).contains(&hits), "{hits} of {ROWS} are on the other server");
}

#[tokio::test]
async fn each_server_is_named_with_its_state() {
    let scratch = throughline_testkit::Scratch::new();
    drop(Assembly::new(Settings::sample(scratch.path().into())).open().await.unwrap());
    let server = Memcached::start(MemcachedOptions::default());
    let text = format!(
        "[sources.shop]\nurl = \"sqlite:{}\"\n[caches.main]\nmemcached = {{ servers = [\"{}\", \
         {{ name = \"b\", address = \"127.0.0.1:1\" }}] }}\n[resources.person]\nsource = \"shop\"\n",
        scratch.path().join("sample.db").display(),
        server.address(),
    );
    let opened = Assembly::new(Settings::parse(&text, &|_| None).unwrap()).open().await.unwrap();
    let told = |words: &str| opened.notices().iter().find(|notice| notice.text.contains(words));
    let up = told(&format!("server {} is memcached 1.6.18", server.address())).expect("the server that runs");
    assert!(!up.is_fault);
    let down = told("server b of cache main is of no use yet").expect("the server that does not");
    assert!(down.is_fault && down.text.contains("127.0.0.1:1"), "{}", down.text);
}
