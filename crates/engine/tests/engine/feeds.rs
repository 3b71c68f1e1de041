// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promises about what other programs write.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use parking_lot::Mutex;
use throughline_core::{Batch, BoxFuture, Error, ErrorKind, Feed, News, Receipt, Result, Scope};
use throughline_engine::{Bypass, Policy, Served};

use crate::bed::{Bed, bounded, key, strict, value};

/// News that wait in a queue until they are confirmed.
#[derive(Clone, Debug, Default)]
struct MapFeed(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<News>,
    taken: u64,
    down: bool,
}

#[derive(Debug)]
struct MapReceipt(MapFeed, usize);

impl MapFeed {
    fn tell(&self, text: &str) {
        self.0.lock().waiting.push_back(News::Row { table: "t".into(), key: key(text) });
    }

    fn tell_table(&self) {
        self.0.lock().waiting.push_back(News::Table { table: "t".into(), age_ms: 0 });
    }

    fn set_down(&self, down: bool) {
        self.0.lock().down = down;
    }

    fn waiting(&self) -> usize {
        self.0.lock().waiting.len()
    }

    fn taken(&self) -> u64 {
        self.0.lock().taken
    }
}

impl Feed for MapFeed {
    fn wait(&self) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(Duration::from_millis(100)))
    }

    fn take(&self) -> BoxFuture<'_, Result<Batch>> {
        Box::pin(async {
            let mut state = self.0.lock();
            if state.down {
                return Err(Error::new(ErrorKind::Unavailable, "take news", "it was cut off"));
            }
            let news: Vec<News> = state.waiting.iter().take(2).cloned().collect();
            state.taken += u64::from(!news.is_empty());
            let receipt = Box::new(MapReceipt(self.clone(), news.len()));
            Ok(Batch { is_all: news.len() == state.waiting.len(), news, lag_ms: 0, receipt })
        })
    }
}

impl Receipt for MapReceipt {
    fn confirm(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        drop(self.0.0.lock().waiting.drain(..self.1));
        Box::pin(std::future::ready(Ok(())))
    }
}

async fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn news_reach_every_resource_over_the_table() {
    let bed = Bed::new(bounded());
    let other = bed.another("people", bounded());
    let feed = MapFeed::default();
    bed.feed(Arc::new(feed.clone()), vec![bed.space.clone(), other.clone()]);
    assert_eq!((bed.get("1").await, value(&other, "1").await), (Some("one".into()), Some("one".into())));
    bed.get("2").await;
    for text in ["1", "3", "4"] {
        bed.source.change_behind(text, Some("theirs"));
        feed.tell(text);
    }
    until(|| feed.waiting() == 0).await;
    assert_eq!(bed.get("1").await.as_deref(), Some("theirs"));
    assert_eq!(value(&other, "1").await.as_deref(), Some("theirs"));
    let loads = bed.source.loads();
    bed.get("2").await;
    assert_eq!(bed.source.loads(), loads, "what was not told stays");
}

#[tokio::test(start_paused = true)]
async fn news_that_the_cache_did_not_confirm_come_again_until_it_does() {
    let bed = Bed::new(bounded());
    let feed = MapFeed::default();
    bed.feed(Arc::new(feed.clone()), vec![bed.space.clone()]);
    bed.get("1").await;
    bed.cache.set_down(true);
    bed.source.change_behind("1", Some("theirs"));
    feed.tell("1");
    until(|| feed.taken() > 3).await;
    assert_eq!(feed.waiting(), 1, "what is not confirmed is not lost");
    bed.cache.set_down(false);
    until(|| feed.waiting() == 0).await;
    assert_eq!(bed.get("1").await.as_deref(), Some("theirs"));
}

#[tokio::test(start_paused = true)]
async fn a_fill_that_began_before_the_news_is_refused() {
    let bed = Bed::new(bounded());
    let feed = MapFeed::default();
    bed.feed(Arc::new(feed.clone()), vec![bed.space.clone()]);
    bed.source.open_reads(false);
    let one = key("1");
    let mut slow = Box::pin(bed.space.get(&one));
    assert!((&mut slow).now_or_never().is_none(), "it holds the lease and has probed");
    feed.tell("1");
    until(|| feed.waiting() == 0).await;
    bed.source.open_reads(true);
    slow.await.unwrap();
    until(|| bed.space.stats().fills_refused.get() == 1).await;
    bed.source.change_behind("1", Some("theirs"));
    assert_eq!(bed.get("1").await.as_deref(), Some("theirs"));
}

#[tokio::test(start_paused = true)]
async fn while_news_are_late_no_entry_older_than_max_staleness_is_used() {
    for scope in [Scope::Shared, Scope::Process] {
        let bed = Bed::with_scope(Policy { staleness_ms_max: 5_000, ..bounded() }, scope);
        let feed = MapFeed::default();
        let stats = bed.feed(Arc::new(feed.clone()), vec![bed.space.clone()]);
        bed.get("1").await;
        feed.set_down(true);
        bed.source.change_behind("1", Some("theirs"));
        tokio::time::sleep(Duration::from_millis(4_800)).await;
        assert_eq!(bed.get("1").await.as_deref(), Some("one"), "not later than the bound");
        until(|| bed.space.is_news_late()).await;
        assert_eq!(bed.get("1").await.as_deref(), Some("theirs"));
        assert_eq!(bed.space.get(&key("1")).await.unwrap().served, Served::Miss { stored: true });
        // A young entry is used; the bound holds for it as well.
        assert_eq!(bed.space.get(&key("1")).await.unwrap().served, Served::Hit);
        bed.source.change_behind("1", Some("theirs again"));
        tokio::time::sleep(Duration::from_millis(5_000)).await;
        assert_eq!(bed.space.get(&key("1")).await.unwrap().served, Served::Bypass(Bypass::Old));
        bed.get("1").await;
        feed.set_down(false);
        until(|| !bed.space.is_news_late()).await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(bed.space.get(&key("1")).await.unwrap().served, Served::Hit);
        let mut late = 0;
        stats.for_each(|name, _, number| late = if name == "late_ms" { number } else { late });
        assert!(late < 500, "{late}");
    }
}

#[tokio::test(start_paused = true)]
async fn news_of_a_whole_table_make_all_older_entries_unusable() {
    for scope in [Scope::Shared, Scope::Process] {
        let bed = Bed::with_scope(strict(), scope);
        let feed = MapFeed::default();
        bed.feed(Arc::new(feed.clone()), vec![bed.space.clone()]);
        bed.get("1").await;
        bed.get("9").await;
        bed.source.change_behind("1", None);
        bed.source.change_behind("9", Some("nine"));
        feed.tell_table();
        until(|| feed.waiting() == 0).await;
        assert_eq!((bed.get("1").await, bed.get("9").await), (None, Some("nine".into())));
        tokio::time::sleep(Duration::from_secs(10)).await;
        bed.get("2").await;
        assert_eq!(bed.space.get(&key("2")).await.unwrap().served, Served::Hit, "later ones are used");
    }
}
