// SPDX-License-Identifier: MIT OR Apache-2.0
//! L1 over L2, from the configuration on.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in what its tests share")]

use throughline::config::{ConfigError, Settings};
use throughline::{Assembly, Change, Condition, Key, Level, Served, Target, Throughline, Write};
use throughline_testkit::{Memcached, MemcachedOptions, Scratch};

/// The sample's persons, in a file that this process owns, over a memcached with `l1`.
async fn open(
    scratch: &Scratch,
    server: &Memcached,
    l1: &str,
    level: &str,
) -> Result<Throughline, ConfigError> {
    drop(Assembly::new(Settings::sample(scratch.path().into())).open().await.unwrap());
    let text = format!(
        "[sources.shop]\nurl = \"sqlite:{}\"\n[caches.main]\nl1 = {l1}\nmemcached = {{ servers = [\"{}\"], timeout = \
         \"5s\" }}\n[resources.person]\nsource = \"shop\"\naccess = \"write\"\n{level}\n",
        scratch.path().join("sample.db").display(),
        server.address(),
    );
    // The sample's background work gives the file back at its next turn.
    loop {
        let opened = Assembly::new(Settings::parse(&text, &|_| None).unwrap()).open().await;
        match &opened {
            Err(error) if error.message.contains("another process serves") => tokio::task::yield_now().await,
            _ => return opened,
        }
    }
}

async fn put(throughline: &Throughline, name: &str) {
    let space = &throughline.listing("person").unwrap().space;
    let change = Change::Put {
        value: format!(r#"{{"id":1,"first_name":"{name}","last_name":"L"}}"#).into(),
        flags: 0,
    };
    let write = Write { target: Target::Key(Key::parse("1").unwrap()), change, condition: Condition::Always };
    space.write(write).await.unwrap();
}

/// Reads record 1 until it is a hit, then `count` times more.
async fn hits(throughline: &Throughline, count: usize) {
    let space = &throughline.listing("person").unwrap().space;
    let key = Key::parse("1").unwrap();
    while space.get(&key).await.unwrap().served != Served::Hit {
        tokio::task::yield_now().await;
    }
    for _ in 0..count {
        assert_eq!(space.get(&key).await.unwrap().served, Served::Hit);
    }
}

fn gauge(throughline: &Throughline, name: &str) -> u64 {
    throughline.gauges().iter().find(|gauge| gauge.name == name).expect("the gauge").number
}

#[tokio::test(flavor = "multi_thread")]
async fn validated_copies_keep_a_resource_strict() {
    let (scratch, server) = (Scratch::new(), Memcached::start(MemcachedOptions::default()));
    let opened = open(&scratch, &server, "\"validate\"", "level = \"strict\"").await.unwrap();
    assert_eq!(opened.listing("person").unwrap().space.policy().level, Level::Strict);
    assert!(opened.listing("person").unwrap().about.cache.contains("validated copies"));
    put(&opened, "Ada").await;
    hits(&opened, 10).await;
    assert!(gauge(&opened, "l1_validated") >= 9);
    assert_eq!(gauge(&opened, "l1_hits"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_that_nobody_validates_make_a_resource_bounded() {
    let (scratch, server) = (Scratch::new(), Memcached::start(MemcachedOptions::default()));
    let opened = open(&scratch, &server, "{ ttl = \"1h\", capacity = \"8 MiB\" }", "").await.unwrap();
    let listing = opened.listing("person").unwrap();
    assert_eq!(listing.space.policy().level, Level::Bounded);
    assert!(
        listing.about.level_reason.contains("copies in this process for 1h"),
        "{}",
        listing.about.level_reason
    );
    put(&opened, "Ada").await;
    hits(&opened, 1).await;
    let before = gauge(&opened, "commands");
    hits(&opened, 10).await;
    assert_eq!(gauge(&opened, "commands") - before, 0, "no copy is asked about");
    assert!(gauge(&opened, "l1_hits") >= 11);
    // What this process writes it reads.
    put(&opened, "Grace").await;
    hits(&opened, 1).await;
    let read = listing.space.get(&Key::parse("1").unwrap()).await.unwrap();
    assert!(String::from_utf8_lossy(&read.record().unwrap().value).contains("Grace"));
}

#[tokio::test(flavor = "multi_thread")]
async fn strict_over_copies_that_nobody_validates_is_refused_with_the_remedy() {
    let (scratch, server) = (Scratch::new(), Memcached::start(MemcachedOptions::default()));
    let mistake = open(&scratch, &server, "{ ttl = \"1s\" }", "level = \"strict\"").await.unwrap_err();
    assert!(mistake.message.contains("resource `person` cannot be strict: cache `main`"), "{mistake}");
    assert!(mistake.help.as_deref().is_some_and(|help| help.contains("l1 = \"validate\"")), "{mistake}");
}
