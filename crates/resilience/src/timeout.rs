// SPDX-License-Identifier: MIT OR Apache-2.0
//! Timeout: the longest time that a call to the source may take, whatever the source does about its own.
//!
//! It must be directly around the source, so that waiting for a permit is not counted and a late call gives its
//! permit back. Dropping a load is always safe, and a dropped prepare rolls back.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use throughline_core::{
    BoxFuture, Canonical, Error, ErrorKind, Intent, Key, Loaded, Loader, Prepared, Result, Retry, Write,
    Writer,
};

/// The deadlines of the calls to one source. A clone is another handle.
#[derive(Clone, Debug)]
pub struct Timeouts {
    load_ms: u64,
    prepare_ms: u64,
    count: Arc<AtomicU64>,
}

impl Timeouts {
    /// Loads may take `load_ms` milliseconds, a write's statements together `prepare_ms`.
    pub fn new(load_ms: u64, prepare_ms: u64) -> Self {
        Self { load_ms, prepare_ms, count: Arc::default() }
    }

    /// `inner` with a deadline.
    pub fn loader(&self, inner: Arc<dyn Loader>) -> Arc<dyn Loader> {
        Arc::new(TimedLoader { timeouts: self.clone(), inner })
    }

    /// `inner` with a deadline for its prepare. A commit has none: it takes place whether or not somebody waits.
    pub fn writer(&self, inner: Arc<dyn Writer>) -> Arc<dyn Writer> {
        Arc::new(TimedWriter { timeouts: self.clone(), inner })
    }

    /// Calls that were given up.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    async fn limited<T>(
        &self,
        operation: &'static str,
        limit_ms: u64,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let limit = Duration::from_millis(limit_ms);
        tokio::time::timeout(limit, call).await.unwrap_or_else(|_| {
            self.count.fetch_add(1, Ordering::Relaxed);
            let detail = format!("the source did not answer within {limit_ms} ms");
            // What is given up here changed nothing.
            Err(Error::new(ErrorKind::Timeout, operation, detail).with_retry(Retry::Safe))
        })
    }
}

#[derive(Debug)]
struct TimedLoader {
    timeouts: Timeouts,
    inner: Arc<dyn Loader>,
}

impl Loader for TimedLoader {
    fn canonical(&self, key: &Key) -> Result<Canonical> {
        self.inner.canonical(key)
    }

    fn load<'a>(&'a self, key: &'a Key, intent: Intent) -> BoxFuture<'a, Result<Loaded>> {
        let limit_ms = self.timeouts.load_ms;
        Box::pin(self.timeouts.limited("load a row", limit_ms, self.inner.load(key, intent)))
    }

    fn load_many<'a>(&'a self, keys: &'a [Key], intent: Intent) -> BoxFuture<'a, Result<Vec<Loaded>>> {
        let limit_ms = self.timeouts.load_ms;
        Box::pin(self.timeouts.limited("load a row", limit_ms, self.inner.load_many(keys, intent)))
    }
}

#[derive(Debug)]
struct TimedWriter {
    timeouts: Timeouts,
    inner: Arc<dyn Writer>,
}

impl Writer for TimedWriter {
    fn prepare<'a>(&'a self, writes: &'a [Write]) -> BoxFuture<'a, Result<Box<dyn Prepared>>> {
        let limit_ms = self.timeouts.prepare_ms;
        Box::pin(self.timeouts.limited("write a row", limit_ms, self.inner.prepare(writes)))
    }
}
