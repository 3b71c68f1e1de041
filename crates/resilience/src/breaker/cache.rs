// SPDX-License-Identifier: MIT OR Apache-2.0
//! The breaker in front of a remote cache: a look-up that would only wait for its deadline is refused at once,
//! and its caller reads the source.
//!
//! Only look-ups are refused, and only late ones count. A cache that cannot be reached says so at once by
//! itself. What ends a lease or a mark, and every mark and invalidation, always goes to the cache: whether it
//! is confirmed is for the cache alone to say.

use std::sync::Arc;

use throughline_core::{
    BoxFuture, Cache, Entry, ErrorKind, Fill, Hit, Lease, Lookup, Mark, Result, Scope, Slot, Touch,
};

use super::{Breaker, Health};

const OPERATION: &str = "look a key up";

impl Breaker {
    /// `inner` with its look-ups behind this breaker.
    pub fn cache(&self, inner: Arc<dyn Cache>) -> Arc<dyn Cache> {
        Arc::new(BrokenCache { breaker: self.clone(), inner })
    }
}

#[derive(Debug)]
struct BrokenCache {
    breaker: Breaker,
    inner: Arc<dyn Cache>,
}

impl Cache for BrokenCache {
    fn scope(&self) -> Scope {
        self.inner.scope()
    }

    fn get<'a>(&'a self, slot: &'a Slot) -> BoxFuture<'a, Result<Lookup>> {
        Box::pin(async move {
            let pass = self.breaker.admit(OPERATION)?;
            let answer = self.inner.get(slot).await;
            pass.settle(health(&answer));
            answer
        })
    }

    fn get_many<'a>(&'a self, slots: &'a [Slot]) -> BoxFuture<'a, Vec<Result<Lookup>>> {
        Box::pin(async move {
            let pass = match self.breaker.admit(OPERATION) {
                Ok(pass) => pass,
                Err(error) => return slots.iter().map(|_| Err(error.clone())).collect(),
            };
            let answers = self.inner.get_many(slots).await;
            // All waited together, so together they are one call. One server of several may be late; then the
            // answers of the others do not make it good.
            let late = answers.iter().find(|answer| health(answer) == Health::Bad);
            pass.settle(late.or(answers.first()).map_or(Health::Unknown, health));
            answers
        })
    }

    fn peek<'a>(&'a self, slot: &'a Slot) -> BoxFuture<'a, Result<Option<Hit>>> {
        Box::pin(async move {
            let pass = self.breaker.admit(OPERATION)?;
            let answer = self.inner.peek(slot).await;
            pass.settle(health(&answer));
            answer
        })
    }

    fn fill(&self, lease: Lease, entry: Entry, ttl_ms: u64) -> BoxFuture<'static, Result<Fill>> {
        self.inner.fill(lease, entry, ttl_ms)
    }

    fn release(&self, lease: Lease) {
        self.inner.release(lease);
    }

    fn mark<'a>(&'a self, slots: &'a [Slot]) -> BoxFuture<'a, Vec<Result<Mark>>> {
        self.inner.mark(slots)
    }

    fn publish(&self, mark: Mark, entry: Entry, ttl_ms: u64) -> BoxFuture<'static, Result<Fill>> {
        self.inner.publish(mark, entry, ttl_ms)
    }

    fn unmark(&self, mark: Mark) {
        self.inner.unmark(mark);
    }

    fn invalidate<'a>(&'a self, slots: &'a [Slot]) -> BoxFuture<'a, Vec<Result<()>>> {
        self.inner.invalidate(slots)
    }

    fn touch<'a>(&'a self, slot: &'a Slot, ttl_ms: u64) -> BoxFuture<'a, Result<Touch>> {
        self.inner.touch(slot, ttl_ms)
    }
}

fn health<T>(answer: &Result<T>) -> Health {
    match answer.as_ref().map_err(throughline_core::Error::kind) {
        Ok(_) => Health::Good,
        Err(ErrorKind::Timeout) => Health::Bad,
        Err(_) => Health::Unknown,
    }
}
