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
