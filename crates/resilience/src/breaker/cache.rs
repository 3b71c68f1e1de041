// SPDX-License-Identifier: MIT OR Apache-2.0
//! The breaker in front of a remote cache: a look-up that would only wait for its deadline is refused at once,
//! and its caller reads the source.
//!
//! Each cache server has a breaker of its own, so that one that stands still takes no other with it. Only
//! look-ups are refused. What ends a lease or a mark, and every mark and invalidation, always goes to the cache: whether it
//! is confirmed is for the cache alone to say.

use std::sync::Arc;

use throughline_core::{
    BoxFuture, Cache, Entry, ErrorKind, Fill, Hit, Lease, Lookup, Mark, Result, Scope, Slot, Touch,
};

use super::{Breaker, Health, Pass};

const OPERATION: &str = "look a key up";

/// `inner` with its look-ups behind `nodes`: the breaker of each cache server, by its place in the ring.
///
/// # Panics
/// When there is no breaker at all.
pub fn break_look_ups(inner: Arc<dyn Cache>, nodes: Vec<Breaker>) -> Arc<dyn Cache> {
    assert!(!nodes.is_empty(), "a cache has at least one server");
    Arc::new(BrokenCache { nodes, inner })
}

#[derive(Debug)]
struct BrokenCache {
    nodes: Vec<Breaker>,
    inner: Arc<dyn Cache>,
}

impl BrokenCache {
    fn breaker(&self, slot: &Slot) -> &Breaker {
        &self.nodes[self.place(slot)]
    }

    fn place(&self, slot: &Slot) -> usize {
        usize::from(slot.route.node.0) % self.nodes.len()
    }

    /// Settles one call per server: its slots waited together, and one late answer must not count as many.
    fn settle_many(&self, slots: &[Slot], passes: Vec<Result<Pass<'_>>>, answers: &[Result<Lookup>]) {
        let mut calls: Vec<Option<(Pass<'_>, Health)>> = self.nodes.iter().map(|_| None).collect();
        for ((slot, pass), answer) in slots.iter().zip(passes).zip(answers) {
            let (Ok(pass), health) = (pass, health(answer)) else { continue };
            match &mut calls[self.place(slot)] {
                Some((_, worst)) if health == Health::Bad => *worst = health,
                Some(_) => {}
                call => *call = Some((pass, health)),
            }
        }
        calls.into_iter().flatten().for_each(|(pass, health)| pass.settle(health));
    }
}

impl Cache for BrokenCache {
    fn scope(&self) -> Scope {
        self.inner.scope()
    }

    fn get<'a>(&'a self, slot: &'a Slot) -> BoxFuture<'a, Result<Lookup>> {
        Box::pin(async move {
            let pass = self.breaker(slot).admit(OPERATION)?;
            let answer = self.inner.get(slot).await;
            pass.settle(health(&answer));
            answer
        })
    }

    fn get_many<'a>(&'a self, slots: &'a [Slot]) -> BoxFuture<'a, Vec<Result<Lookup>>> {
        Box::pin(async move {
            let passes: Vec<_> = slots.iter().map(|slot| self.breaker(slot).admit(OPERATION)).collect();
            if passes.iter().all(Result::is_ok) {
                let answers = self.inner.get_many(slots).await;
                self.settle_many(slots, passes, &answers);
                return answers;
            }
            let admitted = slots.iter().zip(&passes).filter(|(_, pass)| pass.is_ok());
            let admitted: Vec<Slot> = admitted.map(|(slot, _)| slot.clone()).collect();
            let some = if admitted.is_empty() { Vec::new() } else { self.inner.get_many(&admitted).await };
            let mut some = some.into_iter();
            let merged = passes.iter().map(|pass| match pass {
                Ok(_) => some.next().expect("a cache answers every slot"),
                Err(error) => Err(error.clone()),
            });
            let answers: Vec<_> = merged.collect();
            self.settle_many(slots, passes, &answers);
            answers
        })
    }

    fn peek<'a>(&'a self, slot: &'a Slot) -> BoxFuture<'a, Result<Option<Hit>>> {
        Box::pin(async move {
            let pass = self.breaker(slot).admit(OPERATION)?;
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
        Err(ErrorKind::Timeout | ErrorKind::Unavailable) => Health::Bad,
        Err(_) => Health::Unknown,
    }
}
