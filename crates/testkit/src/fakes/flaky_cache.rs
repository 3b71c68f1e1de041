// SPDX-License-Identifier: MIT OR Apache-2.0
//! A cache that can be cut off.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use throughline_core::{
    BoxFuture, Cache, Entry, Error, ErrorKind, Fill, Hit, Lease, Lookup, Mark, Result, Scope, Slot, Touch,
};

/// Passes everything on to a real cache, unless it is cut off: then every call fails as if the server were gone.
#[derive(Debug)]
pub struct FlakyCache {
    inner: Arc<dyn Cache>,
    scope: Scope,
    down: AtomicBool,
    look_ups: AtomicU64,
    mark_ms: AtomicU64,
    look_up_ms: AtomicU64,
    invalidate_ms: AtomicU64,
}

impl FlakyCache {
    /// `inner`, presented as having `scope`.
    pub fn new(inner: Arc<dyn Cache>, scope: Scope) -> Arc<Self> {
        let zero = AtomicU64::default;
        Arc::new(Self {
            inner,
            scope,
            down: AtomicBool::new(false),
            look_ups: zero(),
            mark_ms: zero(),
            look_up_ms: zero(),
            invalidate_ms: zero(),
        })
    }

    /// Cuts the cache off, or connects it again.
    pub fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// Makes every mark take so long, as a round trip would.
    pub fn set_mark_ms(&self, mark_ms: u64) {
        self.mark_ms.store(mark_ms, Ordering::SeqCst);
    }

    /// Makes every invalidation arrive so much later.
    pub fn set_invalidate_ms(&self, invalidate_ms: u64) {
        self.invalidate_ms.store(invalidate_ms, Ordering::SeqCst);
    }

    /// Makes every single look-up arrive so much later.
    pub fn set_look_up_ms(&self, look_up_ms: u64) {
        self.look_up_ms.store(look_up_ms, Ordering::SeqCst);
    }

    /// Look-ups so far; a look-up of many slots is one.
    pub fn look_ups(&self) -> u64 {
        self.look_ups.load(Ordering::SeqCst)
    }

    fn check(&self) -> Result<()> {
        let gone = || Error::new(ErrorKind::Unavailable, "ask the cache", "it was cut off");
        if self.down.load(Ordering::SeqCst) { Err(gone()) } else { Ok(()) }
    }

    fn count(&self) -> Result<()> {
        self.look_ups.fetch_add(1, Ordering::SeqCst);
        self.check()
    }
}

impl Cache for FlakyCache {
    fn scope(&self) -> Scope {
        self.scope
    }

    fn get<'a>(&'a self, slot: &'a Slot) -> BoxFuture<'a, Result<Lookup>> {
        Box::pin(async move {
            let look_up_ms = self.look_up_ms.load(Ordering::SeqCst);
            if look_up_ms > 0 {
                tokio::time::sleep(Duration::from_millis(look_up_ms)).await;
            }
            self.count()?;
            self.inner.get(slot).await
        })
    }

    fn get_many<'a>(&'a self, slots: &'a [Slot]) -> BoxFuture<'a, Vec<Result<Lookup>>> {
        Box::pin(async move {
            match self.count() {
                Ok(()) => self.inner.get_many(slots).await,
                Err(error) => slots.iter().map(|_| Err(error.clone())).collect(),
            }
        })
    }

    fn peek<'a>(&'a self, slot: &'a Slot) -> BoxFuture<'a, Result<Option<Hit>>> {
        Box::pin(async move {
            self.count()?;
            self.inner.peek(slot).await
        })
    }

    fn fill(&self, lease: Lease, entry: Entry, ttl_ms: u64) -> BoxFuture<'static, Result<Fill>> {
        match self.check() {
            Ok(()) => self.inner.fill(lease, entry, ttl_ms),
            Err(error) => Box::pin(async { Err(error) }),
        }
    }

    fn release(&self, lease: Lease) {
        self.inner.release(lease);
    }

    fn mark<'a>(&'a self, slots: &'a [Slot]) -> BoxFuture<'a, Vec<Result<Mark>>> {
        Box::pin(async move {
            let mark_ms = self.mark_ms.load(Ordering::SeqCst);
            if mark_ms > 0 {
                tokio::time::sleep(Duration::from_millis(mark_ms)).await;
            }
            match self.check() {
                Ok(()) => self.inner.mark(slots).await,
                Err(error) => slots.iter().map(|_| Err(error.clone())).collect(),
            }
        })
    }

    fn publish(&self, mark: Mark, entry: Entry, ttl_ms: u64) -> BoxFuture<'static, Result<Fill>> {
        match self.check() {
            Ok(()) => self.inner.publish(mark, entry, ttl_ms),
            Err(error) => Box::pin(async { Err(error) }),
        }
    }

    fn unmark(&self, mark: Mark) {
        self.inner.unmark(mark);
    }

    fn invalidate<'a>(&'a self, slots: &'a [Slot]) -> BoxFuture<'a, Vec<Result<()>>> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(self.invalidate_ms.load(Ordering::SeqCst))).await;
            match self.check() {
                Ok(()) => self.inner.invalidate(slots).await,
                Err(error) => slots.iter().map(|_| Err(error.clone())).collect(),
            }
        })
    }

    fn touch<'a>(&'a self, slot: &'a Slot, ttl_ms: u64) -> BoxFuture<'a, Result<Touch>> {
        Box::pin(async move {
            self.check()?;
            self.inner.touch(slot, ttl_ms).await
        })
    }
}
