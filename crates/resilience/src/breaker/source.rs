// SPDX-License-Identifier: MIT OR Apache-2.0
//! The breaker in front of a source: outside of the limit, so that a refused call waits for no permit, and
//! inside of retry, so that every attempt asks it.

use std::sync::Arc;

use throughline_core::{
    BoxFuture, Canonical, Claim, Drain, DrainBatch, Drained, ErrorKind, Intent, Key, Lane, Loaded, Loader,
    Owner, Prepared, Record, Result, Undrained, Write, Writer,
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

    /// `inner`, whose batches are refused while this is open. Claims are not: they are made once, at the start.
    pub fn drain(&self, inner: Arc<dyn Drain>) -> Arc<dyn Drain> {
        Arc::new(BrokenDrain { breaker: self.clone(), inner })
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

#[derive(Debug)]
struct BrokenDrain {
    breaker: Breaker,
    inner: Arc<dyn Drain>,
}

impl Drain for BrokenDrain {
    fn batch_max(&self) -> usize {
        self.inner.batch_max()
    }

    fn check(&self, write: &Write) -> Result<Option<Record>> {
        self.inner.check(write)
    }

    fn claim<'a>(
        &'a self,
        lanes: &'a [Lane],
        owner: &'a Owner,
        by_force: bool,
    ) -> BoxFuture<'a, Result<Claim>> {
        self.inner.claim(lanes, owner, by_force)
    }

    fn release<'a>(&'a self, lanes: &'a [Lane], owner: &'a Owner) -> BoxFuture<'a, Result<()>> {
        self.inner.release(lanes, owner)
    }

    fn apply<'a>(&'a self, batch: DrainBatch<'a>) -> BoxFuture<'a, std::result::Result<Drained, Undrained>> {
        Box::pin(async move {
            let admitted = self.breaker.admit("apply accepted writes");
            let pass = admitted.map_err(|error| Undrained { at: None, error })?;
            let outcome = self.inner.apply(batch).await;
            pass.settle(match &outcome {
                Ok(_) => Health::Good,
                Err(Undrained { error, .. }) if error.kind() == ErrorKind::Unavailable => Health::Bad,
                // A batch is many statements: what takes long need not be the server's fault.
                Err(_) => Health::Unknown,
            });
            outcome
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
