// SPDX-License-Identifier: MIT OR Apache-2.0
//! The limit in front of a source.

use std::fmt;
use std::sync::Arc;

use throughline_core::{
    BoxFuture, Canonical, Effect, Intent, Key, Loaded, Loader, Prepared, Result, Write, Writer,
};

use super::{Limit, Permit};

impl Limit {
    /// `inner`, a permit for each load; a bulk load is one.
    pub fn loader(&self, inner: Arc<dyn Loader>) -> Arc<dyn Loader> {
        Arc::new(LimitedLoader { limit: self.clone(), inner })
    }

    /// `inner`, a permit for each write from its prepare to its end.
    pub fn writer(&self, inner: Arc<dyn Writer>) -> Arc<dyn Writer> {
        Arc::new(LimitedWriter { limit: self.clone(), inner })
    }
}

#[derive(Debug)]
struct LimitedLoader {
    limit: Limit,
    inner: Arc<dyn Loader>,
}

impl Loader for LimitedLoader {
    fn canonical(&self, key: &Key) -> Result<Canonical> {
        self.inner.canonical(key)
    }

    fn load<'a>(&'a self, key: &'a Key, intent: Intent) -> BoxFuture<'a, Result<Loaded>> {
        Box::pin(async move {
            let permit = self.limit.acquire("load a row").await?;
            let loaded = self.inner.load(key, intent).await;
            permit.finish(&loaded);
            loaded
        })
    }

    fn load_many<'a>(&'a self, keys: &'a [Key], intent: Intent) -> BoxFuture<'a, Result<Vec<Loaded>>> {
        Box::pin(async move {
            let permit = self.limit.acquire("load a row").await?;
            let loaded = self.inner.load_many(keys, intent).await;
            permit.finish(&loaded);
            loaded
        })
    }
}

#[derive(Debug)]
struct LimitedWriter {
    limit: Limit,
    inner: Arc<dyn Writer>,
}

impl Writer for LimitedWriter {
    fn prepare<'a>(&'a self, writes: &'a [Write]) -> BoxFuture<'a, Result<Box<dyn Prepared>>> {
        Box::pin(async move {
            let permit = self.limit.acquire("write a row").await?;
            let inner = self.inner.prepare(writes).await?;
            Ok(Box::new(LimitedPrepared { inner, permit }) as Box<dyn Prepared>)
        })
    }
}

/// A transaction that keeps its permit until it is over.
struct LimitedPrepared {
    inner: Box<dyn Prepared>,
    permit: Permit,
}

impl fmt::Debug for LimitedPrepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl Prepared for LimitedPrepared {
    fn effects(&self) -> &[Effect] {
        self.inner.effects()
    }

    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        let Self { inner, permit } = *self;
        let commit = inner.commit();
        Box::pin(async move {
            let outcome = commit.await;
            permit.finish(&outcome);
            outcome
        })
    }

    fn roll_back(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        let Self { inner, permit } = *self;
        let roll_back = inner.roll_back();
        Box::pin(async move {
            let outcome = roll_back.await;
            permit.finish(&outcome);
            outcome
        })
    }
}
