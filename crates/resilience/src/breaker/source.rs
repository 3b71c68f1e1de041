// SPDX-License-Identifier: MIT OR Apache-2.0
//! The breaker in front of a source: outside of the limit, so that a refused call waits for no permit, and
//! inside of retry, so that every attempt asks it.

use std::sync::Arc;

use throughline_core::{
    BoxFuture, Canonical, ErrorKind, Intent, Key, Loaded, Loader, Prepared, Result, Write, Writer,
};

use super::{Breaker, Health};

impl Breaker {
    /// `inner` behind this breaker.
    pub fn loader(&self, inner: Arc<dyn Loader>) -> Arc<dyn Loader> {
        Arc::new(BrokenLoader { breaker: self.clone(), inner })
    }

    /// `inner` behind this breaker.
    pub fn writer(&self, inner: Arc<dyn Writer>) -> Arc<dyn Writer> {
        Arc::new(BrokenWriter { breaker: self.clone(), inner })
    }
}

#[derive(Debug)]
struct BrokenLoader {
    breaker: Breaker,
    inner: Arc<dyn Loader>,
}

impl Loader for BrokenLoader {
    fn canonical(&self, key: &Key) -> Result<Canonical> {
        self.inner.canonical(key)
    }

    fn load<'a>(&'a self, key: &'a Key, intent: Intent) -> BoxFuture<'a, Result<Loaded>> {
        Box::pin(async move {
            let pass = self.breaker.admit("load a row")?;
            let loaded = self.inner.load(key, intent).await;
            pass.settle(load_health(&loaded));
            loaded
        })
    }

    fn load_many<'a>(&'a self, keys: &'a [Key], intent: Intent) -> BoxFuture<'a, Result<Vec<Loaded>>> {
        Box::pin(async move {
            let pass = self.breaker.admit("load a row")?;
            let loaded = self.inner.load_many(keys, intent).await;
            pass.settle(load_health(&loaded));
            loaded
        })
    }
}

#[derive(Debug)]
struct BrokenWriter {
    breaker: Breaker,
    inner: Arc<dyn Writer>,
}

impl Writer for BrokenWriter {
    fn prepare<'a>(&'a self, writes: &'a [Write]) -> BoxFuture<'a, Result<Box<dyn Prepared>>> {
        Box::pin(async move {
            let pass = self.breaker.admit("write a row")?;
            let prepared = self.inner.prepare(writes).await;
            pass.settle(write_health(&prepared));
            prepared
        })
    }
}

fn load_health<T>(outcome: &Result<T>) -> Health {
    match outcome.as_ref().map_err(throughline_core::Error::kind) {
        Ok(_) => Health::Good,
        Err(ErrorKind::Unavailable | ErrorKind::Timeout) => Health::Bad,
        Err(_) => Health::Unknown,
    }
}

fn write_health<T>(outcome: &Result<T>) -> Health {
    match outcome.as_ref().map_err(throughline_core::Error::kind) {
        // A row that another transaction holds for long is that transaction's fault, not the server's.
        Err(ErrorKind::Timeout) => Health::Unknown,
        _ => load_health(outcome),
    }
}
