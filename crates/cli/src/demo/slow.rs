// SPDX-License-Identifier: MIT OR Apache-2.0
//! A source that takes its time and reports what it is asked.

use std::sync::Arc;
use std::time::Duration;

use throughline::{
    BoxFuture, Canonical, Effect, Intent, Key, Loaded, Loader, Prepared, Result, Write, Writer,
};

use super::trace::Trace;

/// One side of a source, slowed down.
#[derive(Debug)]
pub(super) struct SlowSource<T: ?Sized> {
    inner: Arc<T>,
    pause: Duration,
    trace: Trace,
}

impl SlowSource<dyn Loader> {
    pub(super) fn loader(inner: Arc<dyn Loader>, pause: Duration, trace: Trace) -> Arc<dyn Loader> {
        Arc::new(Self { inner, pause, trace })
    }
}

impl SlowSource<dyn Writer> {
    pub(super) fn writer(inner: Arc<dyn Writer>, pause: Duration, trace: Trace) -> Arc<dyn Writer> {
        Arc::new(Self { inner, pause, trace })
    }
}

impl Loader for SlowSource<dyn Loader> {
    fn canonical(&self, key: &Key) -> Result<Canonical> {
        self.inner.canonical(key)
    }

    fn load<'a>(&'a self, key: &'a Key, intent: Intent) -> BoxFuture<'a, Result<Loaded>> {
        Box::pin(async move {
            self.trace.event("source", &format!("is asked for {key}"));
            tokio::time::sleep(self.pause).await;
            let loaded = self.inner.load(key, intent).await;
            self.trace.event("source", "has answered");
            loaded
        })
    }

    fn load_many<'a>(&'a self, keys: &'a [Key], intent: Intent) -> BoxFuture<'a, Result<Vec<Loaded>>> {
        Box::pin(async move {
            self.trace.event("source", &format!("is asked for {} records", keys.len()));
            tokio::time::sleep(self.pause).await;
            self.inner.load_many(keys, intent).await
        })
    }
}

impl Writer for SlowSource<dyn Writer> {
    fn prepare<'a>(&'a self, writes: &'a [Write]) -> BoxFuture<'a, Result<Box<dyn Prepared>>> {
        Box::pin(async move {
            self.trace.event("source", "runs the statement and holds the row's lock");
            tokio::time::sleep(self.pause).await;
            let inner = self.inner.prepare(writes).await?;
            Ok(Box::new(TracedTransaction { inner, trace: self.trace.clone() }) as Box<dyn Prepared>)
        })
    }
}

#[derive(Debug)]
struct TracedTransaction {
    inner: Box<dyn Prepared>,
    trace: Trace,
}

impl Prepared for TracedTransaction {
    fn effects(&self) -> &[Effect] {
        self.inner.effects()
    }

    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move {
            let outcome = self.inner.commit().await;
            self.trace.event("source", if outcome.is_ok() { "has committed" } else { "could not commit" });
            outcome
        })
    }

    fn roll_back(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        self.trace.event("source", "rolls back");
        self.inner.roll_back()
    }
}
