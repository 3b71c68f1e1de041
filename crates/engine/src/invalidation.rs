// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads a source's feed at its own pace and invalidates what it tells of.
//!
//! 1. Wait until there may be news, and take a batch.
//! 2. Invalidate each key in every resource over its table; the caches confirm.
//! 3. Only then confirm to the feed. Whatever goes wrong before, the same news come again.
//!
//! No order of values has to be compared: a fill that read before the change holds a token from before this
//! invalidation, which voids it, and one that reads after the news were taken reads what was committed before.
//!
//! Beside it a watch looks how long ago the feed was last emptied. Later than a resource's `max_staleness`,
//! entries that are older than that are not used until the feed is empty again: so the bound holds whatever becomes of the
//! feed.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use throughline_core::{Batch, Clock, Error, ErrorKind, Feed, Key, News, Result, Tick};

use crate::space::Space;

/// Keys that one call to a cache invalidates.
const KEY_COUNT_MAX: usize = 1_000;
/// Pauses after a failure, in milliseconds: doubled from the first to the last.
const PAUSE_MS: (u64, u64) = (50, 2_000);
/// How often the watch looks, in milliseconds.
const WATCH_MS: u64 = 100;

/// A feed and the resources that it tells of.
#[derive(Debug)]
pub struct Invalidation {
    feed: Arc<dyn Feed>,
    tables: HashMap<Arc<str>, Vec<Arc<Space>>>,
    clock: Arc<dyn Clock>,
    stats: Arc<InvalidationStats>,
}

/// What is counted of one feed.
#[derive(Debug, Default)]
pub struct InvalidationStats {
    /// When all that had been committed by then was confirmed, on the engine's clock.
    emptied_ms: AtomicU64,
    late_ms: AtomicU64,
    lag_ms: AtomicU64,
    rows: AtomicU64,
    tables: AtomicU64,
    errors: AtomicU64,
}

impl InvalidationStats {
    /// Calls `each` with the name, the meaning and the number of every gauge.
    pub fn for_each(&self, mut each: impl FnMut(&'static str, &'static str, u64)) {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        each(
            "late_ms",
            "Milliseconds since the feed was last empty: no answer misses a write that is older.",
            read(&self.late_ms),
        );
        each(
            "lag_ms",
            "Age in milliseconds of the oldest news, when a batch was last taken.",
            read(&self.lag_ms),
        );
        each("rows", "Rows that other programs changed.", read(&self.rows));
        each("tables", "Times that a whole table was invalidated.", read(&self.tables));
        each("errors", "Batches that could not be taken or confirmed, and came again.", read(&self.errors));
    }
}

impl Invalidation {
    /// Feeds `tables` (which resources show each table) from `feed`.
    pub fn new(
        feed: Arc<dyn Feed>,
        tables: HashMap<Arc<str>, Vec<Arc<Space>>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let stats = Arc::new(InvalidationStats::default());
        stats.emptied_ms.store(clock.now().as_ms(), Ordering::Relaxed);
        Self { feed, tables, clock, stats }
    }

    /// What is counted, to be kept beside it.
    pub fn stats(&self) -> Arc<InvalidationStats> {
        self.stats.clone()
    }

    /// Works until the feed is closed.
    ///
    /// # Cancel safety
    /// May be dropped at any time: what was not confirmed comes again.
    pub async fn run(self) {
        let watch = async {
            loop {
                tokio::time::sleep(Duration::from_millis(WATCH_MS)).await;
                self.watch();
            }
        };
        tokio::select! {
            () = self.work() => {}
            () = watch => {}
        }
    }

    async fn work(&self) {
        let mut pause_ms = PAUSE_MS.0;
        loop {
            let begun = self.clock.now();
            match self.round().await {
                Ok(is_all) => {
                    if pause_ms > PAUSE_MS.0 {
                        tracing::info!("news of other programs' writes come again");
                    }
                    pause_ms = PAUSE_MS.0;
                    if is_all {
                        self.stats.emptied_ms.store(begun.as_ms(), Ordering::Relaxed);
                        self.watch();
                        self.feed.wait().await;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Closed => return,
                Err(error) => {
                    self.stats.errors.fetch_add(1, Ordering::Relaxed);
                    if pause_ms == PAUSE_MS.0 {
                        tracing::warn!(%error, "news of other programs' writes are held up");
                    }
                    tokio::time::sleep(Duration::from_millis(pause_ms)).await;
                    pause_ms = (pause_ms * 2).min(PAUSE_MS.1);
                }
            }
        }
    }

    /// Takes one batch, invalidates, confirms; whether nothing was left.
    async fn round(&self) -> Result<bool> {
        let Batch { news, is_all, lag_ms, receipt } = self.feed.take().await?;
        self.stats.lag_ms.store(lag_ms, Ordering::Relaxed);
        self.apply(&news).await?;
        receipt.confirm().await?;
        if news.is_empty() && !is_all {
            // Another daemon is at work on the rest.
            self.feed.wait().await;
        }
        Ok(is_all)
    }

    async fn apply(&self, news: &[News]) -> Result<()> {
        let now = self.clock.now();
        let mut keys: HashMap<&str, (&Arc<Space>, Vec<Key>)> = HashMap::new();
        for piece in news {
            let (News::Row { table, .. } | News::Table { table, .. }) = piece;
            for space in self.tables.get(table).into_iter().flatten() {
                match piece {
                    News::Row { key, .. } => {
                        let name = space.name().as_str();
                        keys.entry(name).or_insert((space, Vec::new())).1.push(key.clone());
                    }
                    News::Table { age_ms, .. } => {
                        // Every daemon of a fleet is told, at its start as well, so that none raises the
                        // generation for all: each start would empty the cache of the others.
                        space.forget_older(Tick::from_ms(now.as_ms().saturating_sub(*age_ms)));
                    }
                }
            }
            let counter = match piece {
                News::Row { .. } => &self.stats.rows,
                News::Table { .. } => &self.stats.tables,
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
        for (space, keys) in keys.into_values() {
            invalidate(space, &keys).await?;
        }
        Ok(())
    }

    /// Looks whether news are late.
    fn watch(&self) {
        let emptied = Tick::from_ms(self.stats.emptied_ms.load(Ordering::Relaxed));
        let late_ms = self.clock.now().ms_since(emptied);
        self.stats.late_ms.store(late_ms, Ordering::Relaxed);
        for space in self.tables.values().flatten() {
            space.note_news(late_ms);
        }
    }
}

async fn invalidate(space: &Arc<Space>, keys: &[Key]) -> Result<()> {
    if !space.has_cache() {
        return Ok(());
    }
    for keys in keys.chunks(KEY_COUNT_MAX) {
        let answers = space.invalidate_entries(keys).await;
        let failed: Option<Error> = answers.into_iter().find_map(Result::err);
        if let Some(error) = failed {
            return Err(error);
        }
        space.stats.invalidations_fed.add(keys.len() as u64);
    }
    Ok(())
}
