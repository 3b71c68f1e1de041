// SPDX-License-Identifier: MIT OR Apache-2.0
//! Retry: a load that did not reach its source is tried again, a little later and within a budget.
//!
//! Only loads, and only errors that say that nothing was done ([`Retry::Safe`]) because the source could not be
//! reached. Overload is not retried, since more calls make more of it, nor what an open breaker refuses, nor what asked
//! to be left alone for longer than a pause. Writes are
//! never retried here: who asked decides, with [`Error::retry`] in hand.
//!
//! It must be outside of the breaker, whose count then sees every attempt, and inside of single-flight, so that
//! those who joined wait for one load. The flight's `sent` flag stays tripped.

use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use throughline_core::{
    BoxFuture, Canonical, Error, ErrorKind, Intent, Key, Loaded, Loader, Result, Retry, Rng,
};

use crate::BreakerOpen;

/// How often one load is tried again at most.
const RETRY_COUNT_MAX: u32 = 2;

/// The longest first pause, which doubles, and the longest of all, in milliseconds.
const PAUSE_MS: (u64, u64) = (20, 200);

/// A load brings a tenth of a retry: when everything fails, the source gets 10 % more calls and not three times
/// as many. In thousandths.
const MILLI_PER_CALL: u64 = 100;

/// What can be saved up, so that a daemon with few calls may retry as well. In thousandths.
const MILLI_MAX: u64 = 10_000;

/// What retries count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetryStats {
    /// Loads that were tried again.
    pub retries: u64,
    /// Loads that were not, because the budget was spent.
    pub unaffordable: u64,
}

/// The retries of one source's loads, with their common budget. A clone is another handle.
#[derive(Clone, Debug)]
pub struct Retries(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    rng: Arc<Rng>,
    milli: AtomicU64,
    retries: AtomicU64,
    unaffordable: AtomicU64,
}

impl Retries {
    /// Retries with a full budget.
    pub fn new(rng: Arc<Rng>) -> Self {
        Self(Arc::new(Inner {
            rng,
            milli: AtomicU64::new(MILLI_MAX),
            retries: AtomicU64::new(0),
            unaffordable: AtomicU64::new(0),
        }))
    }

    /// `inner` with retries.
    pub fn loader(&self, inner: Arc<dyn Loader>) -> Arc<dyn Loader> {
        Arc::new(RetriedLoader { retries: self.clone(), inner })
    }

    /// What was counted so far.
    pub fn stats(&self) -> RetryStats {
        RetryStats {
            retries: self.0.retries.load(Ordering::Relaxed),
            unaffordable: self.0.unaffordable.load(Ordering::Relaxed),
        }
    }

    async fn run<'a, T>(&self, attempt: impl Fn() -> BoxFuture<'a, Result<T>>) -> Result<T> {
        self.0.save();
        let mut pause_ms = PAUSE_MS.0;
        for _ in 0..RETRY_COUNT_MAX {
            match attempt().await {
                Err(error) if may_be_retried(&error) && self.0.spend() => {
                    tracing::debug!(%error, "a load is tried again");
                }
                outcome => return outcome,
            }
            // All of the pause is left to chance, so that those who failed together do not return together.
            let pause = Duration::from_millis(1 + self.0.rng.below(pause_ms));
            tokio::time::sleep(pause).await;
            pause_ms = (pause_ms * 2).min(PAUSE_MS.1);
        }
        attempt().await
    }
}

impl Inner {
    fn save(&self) {
        // It is full nearly always, and then nothing is written.
        if self.milli.load(Ordering::Relaxed) < MILLI_MAX {
            let more = |milli: u64| Some((milli + MILLI_PER_CALL).min(MILLI_MAX));
            let _ = self.milli.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        }
    }

    fn spend(&self) -> bool {
        let less = |milli: u64| milli.checked_sub(1_000);
        let is_spent = self.milli.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok();
        let counter = if is_spent { &self.retries } else { &self.unaffordable };
        counter.fetch_add(1, Ordering::Relaxed);
        is_spent
    }
}

fn may_be_retried(error: &Error) -> bool {
    let is_refused = error.source().is_some_and(|cause| cause.is::<BreakerOpen>());
    let is_in_vain = error.retry_after_ms().is_some_and(|ms| ms > PAUSE_MS.1);
    error.kind() == ErrorKind::Unavailable && error.retry() == Retry::Safe && !is_refused && !is_in_vain
}

#[derive(Debug)]
struct RetriedLoader {
    retries: Retries,
    inner: Arc<dyn Loader>,
}

impl Loader for RetriedLoader {
    fn canonical(&self, key: &Key) -> Result<Canonical> {
        self.inner.canonical(key)
    }

    fn load<'a>(&'a self, key: &'a Key, intent: Intent) -> BoxFuture<'a, Result<Loaded>> {
        Box::pin(async move { self.retries.run(|| self.inner.load(key, intent.clone())).await })
    }

    fn load_many<'a>(&'a self, keys: &'a [Key], intent: Intent) -> BoxFuture<'a, Result<Vec<Loaded>>> {
        Box::pin(async move { self.retries.run(|| self.inner.load_many(keys, intent.clone())).await })
    }
}

#[cfg(test)]
mod tests {
    use super::may_be_retried;
    use throughline_core::{Error, ErrorKind};

    #[test]
    fn a_source_that_asks_to_be_left_alone_is() {
        let error = || Error::new(ErrorKind::Unavailable, "load a record", "it declines");
        assert!(may_be_retried(&error()) && may_be_retried(&error().with_retry_after_ms(0)));
        assert!(!may_be_retried(&error().with_retry_after_ms(1_000)));
    }
}
