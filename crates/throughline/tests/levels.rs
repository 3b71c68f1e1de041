// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which level a resource gets, over real files.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in what its tests share")]

use throughline::config::Settings;
use throughline::{Assembly, Level};
use throughline_testkit::Scratch;

#[tokio::test]
async fn a_file_that_this_process_does_not_own_is_never_strict_over_a_shared_cache() {
    let scratch = Scratch::new();
    let sample = Assembly::new(Settings::sample(scratch.path().into())).open().await.unwrap();
    assert_eq!(sample.listing("person").unwrap().space.policy().level, Level::Strict);
    let file = scratch.path().join("sample.db");
    // Only the owner knows which rows are being written, so another process's fills cannot be held off.
    let text = format!(
        "[sources.shop]\nurl = \"sqlite:{}\"\n[caches.main]\nmemcached = {{ servers = [\"127.0.0.1:1\"] }}\n\
         [resources.person]\nsource = \"shop\"\n",
        file.display()
    );
    let other = Assembly::new(Settings::parse(&text, &|_| None).unwrap()).open().await.unwrap();
    assert_eq!(other.listing("person").unwrap().space.policy().level, Level::Bounded);
}

#[tokio::test]
async fn two_sources_over_one_database_are_refused() {
    let scratch = Scratch::new();
    let sample = Assembly::new(Settings::sample(scratch.path().into())).open().await.unwrap();
    drop(sample);
    let file = scratch.path().join("sample.db");
    let source =
        |name: &str| format!("[sources.{name}]\nurl = \"sqlite:{}\"\ntables = \"all\"\n", file.display());
    let settings = Settings::parse(&(source("a") + &source("b")), &|_| None).unwrap();
    let mistake = Assembly::new(settings).open().await.unwrap_err();
    assert!(mistake.to_string().contains("`a` and `b` are the same database"), "{mistake}");
}

#[tokio::test]
async fn the_last_handle_takes_the_lock_of_the_file_along() {
    let scratch = Scratch::new();
    let open = async || Assembly::new(Settings::sample(scratch.path().into())).open().await;
    let first = open().await.unwrap();
    assert!(open().await.is_err(), "it is owned");
    drop(first);
    // The watching task ends at its next turn.
    while open().await.is_err() {
        tokio::task::yield_now().await;
    }
}
