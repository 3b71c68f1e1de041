// SPDX-License-Identifier: MIT OR Apache-2.0
//! A memcached that wants a password, from the configuration on.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in what its tests share")]

use throughline::config::Settings;
use throughline::{Assembly, Key, Served, Throughline};
use throughline_testkit::{Memcached, MemcachedOptions, Scratch};

async fn open(scratch: &Scratch, server: &Memcached, password: &'static str) -> Throughline {
    let file = scratch.path().join("sample.db");
    if !file.exists() {
        drop(Assembly::new(Settings::sample(scratch.path().into())).open().await.unwrap());
    }
    let text = format!(
        "[sources.shop]\nurl = \"sqlite:{}\"\n[caches.main]\nmemcached = {{ servers = [\"{}\"], timeout = \"5s\", \
         username = \"throughline\", password = \"${{PASSWORD}}\" }}\n[resources.person]\nsource = \"shop\"\n",
        file.display(),
        server.address(),
    );
    let settings = Settings::parse(&text, &|_| Some(password.to_owned())).unwrap();
    Assembly::new(settings).open().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_told_and_reads_go_past_the_cache() {
    let scratch = Scratch::new();
    let users = scratch.path().join("users");
    std::fs::write(&users, "throughline:hunter2\n").unwrap();
    let args = vec!["-Y".to_owned(), users.display().to_string()];
    let server = Memcached::start(MemcachedOptions { args, ..MemcachedOptions::default() });
    let key = Key::parse("1").unwrap();

    let wrong = open(&scratch, &server, "wrong-one").await;
    let told = wrong.notices().iter().find(|notice| notice.is_fault).expect("a warning");
    assert!(told.text.contains("refused the user name and password"), "{}", told.text);
    assert!(!told.text.contains("wrong-one"));
    let read = wrong.listing("person").unwrap().space.get(&key).await.unwrap();
    assert!(matches!(read.served, Served::Bypass(_)), "{:?}", read.served);
    drop(wrong);

    let right = open(&scratch, &server, "hunter2").await;
    assert!(right.notices().iter().all(|notice| !notice.is_fault));
    let space = &right.listing("person").unwrap().space;
    while space.get(&key).await.unwrap().served != Served::Hit {
        tokio::task::yield_now().await;
    }
}
