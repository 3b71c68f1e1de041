// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every counter of a resource, with its meaning, in one place.

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The number.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Stripes of a [`StripedCounter`]: one for each of the first threads of the process, the last for all others.
const STRIPES: usize = 16;

/// One cache line, so that two cores do not fight for it (64 bytes; twice that for the adjacent-line prefetch).
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe(AtomicU64);

/// A [`Counter`] for the hottest path: a thread with a stripe of its own counts without a locked instruction.
#[derive(Default)]
pub struct StripedCounter([Stripe; STRIPES]);

impl StripedCounter {
    /// Adds `n`.
    #[inline]
    pub fn add(&self, n: u64) {
        let place = stripe();
        let count = &self.0[place].0;
        if place < STRIPES - 1 {
            // Nobody else writes here, so reading and writing need not be one step.
            count.store(count.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
        } else {
            count.fetch_add(n, Ordering::Relaxed);
        }
    }

    /// The number; counts that other threads add meanwhile may be missing.
    pub fn get(&self) -> u64 {
        self.0.iter().map(|stripe| stripe.0.load(Ordering::Relaxed)).sum()
    }
}

impl fmt::Debug for StripedCounter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StripedCounter({})", self.get())
    }
}

fn stripe() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static STRIPE: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    STRIPE.with(|stripe| {
        if stripe.get() == usize::MAX {
            stripe.set(THREADS.fetch_add(1, Ordering::Relaxed).min(STRIPES - 1));
        }
        stripe.get()
    })
}

macro_rules! counters {
    ($(#[$doc:meta])* $stats:ident; $($name:ident: $kind:ty = $meaning:literal;)+) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub struct $stats {
            $(#[doc = $meaning] pub $name: $kind,)+
        }

        impl $stats {
            /// Calls `each` with the name, the meaning and the number of every counter, in order.
            pub fn for_each(&self, mut each: impl FnMut(&'static str, &'static str, u64)) {
                $(each(stringify!($name), $meaning, self.$name.get());)+
            }
        }
    };
}

counters! {
    /// The counters of one resource.
    SpaceStats;
    hits: StripedCounter = "Reads answered by an entry that holds a record.";
    negative_hits: Counter = "Reads answered by a negative entry.";
    misses: Counter = "Reads that took the lease and loaded.";
    joined: Counter = "Reads that got the answer of another caller's flight.";
    loads: Counter = "Calls to the source for reading (a bulk load of many keys is one).";
    load_errors: Counter = "Loads that failed.";
    fills: Counter = "Loaded entries that the cache stored.";
    fills_refused: Counter = "Loaded entries that the cache refused, because the key was written or invalidated since the lease.";
    fills_not_granted: Counter = "Loads that were not to be filled: a writer held the key, or the key was not canonical.";
    fills_too_large: Counter = "Records that were not filled because of their size.";
    bypass_no_cache: Counter = "Reads of a resource that has no cache.";
    bypass_mode: Counter = "Reads that went to the source because of the mode `source`.";
    bypass_asked: Counter = "Reads that went to the source because the caller wanted a fresher answer than the entry.";
    bypass_key: Counter = "Reads with a key that is not canonical.";
    bypass_owed: Counter = "Reads of a key whose invalidation the cache has not confirmed yet.";
    bypass_cache_error: Counter = "Reads that went to the source because the cache did not answer.";
    bypass_busy: Counter = "Reads that waited in vain for another's lease.";
    bypass_marked: Counter = "Reads that waited in vain for a writer's publish.";
    bypass_refused: Counter = "Reads for which the cache gave no lease.";
    bypass_fenced: Counter = "Reads of a key whose cache server is fenced, or whose resource is being emptied.";
    bypass_control_lost: Counter = "Reads that went to the source because the control tables did not answer in time.";
    bypass_foreign: Counter = "Reads that found an entry of another schema or database, which was dropped.";
    bypass_over_rate: Counter = "Reads that were refused, because as many as `max_bypass_rate` allows went past the cache.";
    bypass_old: Counter = "Reads that found an entry from before news of other programs' writes were late or a whole table changed.";
    writes: Counter = "Writes that were committed.";
    writes_grouped: Counter = "Writes that were committed in one transaction with others of the same key.";
    write_refusals: Counter = "Writes whose condition did not hold.";
    write_errors: Counter = "Writes that failed before the commit; nothing was written.";
    writes_unmarkable: Counter = "Strict writes that were rolled back because the cache did not confirm the mark.";
    writes_unknown: Counter = "Writes of which the source did not say whether they were committed.";
    publishes: Counter = "Written values that the cache took.";
    publishes_refused: Counter = "Written values that the cache refused, because a later write marked the key.";
    invalidations: Counter = "Entries that were invalidated on demand.";
    invalidations_fed: Counter = "Entries that were invalidated because another program changed the row.";
    invalidations_owed: Counter = "Bounded writes whose invalidation the cache did not confirm at once; retried in the background.";
    invalidations_replayed: Counter = "Invalidations that an earlier process owed, found in the journal at start.";
    shadow_compared: Counter = "Answers of the source that were compared with an entry, in mode `shadow`.";
    shadow_differences: Counter = "Entries that differed from the source in mode `shadow`.";
    generations: Counter = "Times that all entries were made unreachable at once.";
    mode_switches: Counter = "Changes of the mode.";
}

counters! {
    /// The counters of one resource's write-behind side.
    BehindStats;
    accepted: Counter = "Writes that were accepted: they are on disk in the journal.";
    applied: Counter = "Accepted writes that are in the source, those included whose place a later write of the key took.";
    coalesced: Counter = "Accepted writes whose place a later write of the key took before they were applied.";
    batches: Counter = "Batches that were sent to the source.";
    failures: Counter = "Batches that the source did not apply.";
    retries: Counter = "Pauses before a batch was tried again.";
    letters: Counter = "Accepted writes that the source refused for good.";
}

counters! {
    /// The counters of the agreement on one cache's servers.
    FenceStats;
    views: Counter = "Questions to the control tables, of the poller and of writers.";
    view_errors: Counter = "Questions that were not answered.";
    fences_started: Counter = "Fences that this daemon started.";
    fences_ended: Counter = "Fences that this daemon ended, whoever started them.";
    readmissions: Counter = "Cache servers that this daemon readmitted.";
    nonces_adopted: Counter = "Restarts of a cache server that this daemon told the others of.";
    writes_waited: Counter = "Writes that waited for a fence.";
}

#[cfg(test)]
mod tests {
    use super::SpaceStats;

    #[test]
    fn a_striped_counter_counts_every_thread() {
        let stats = SpaceStats::default();
        std::thread::scope(|scope| {
            (0..40).for_each(|_| drop(scope.spawn(|| (0..1_000).for_each(|_| stats.hits.add(1)))));
        });
        assert_eq!(stats.hits.get(), 40_000);
    }

    #[test]
    fn every_counter_is_listed_with_its_meaning() {
        let stats = SpaceStats::default();
        stats.writes.add(3);
        let mut seen = Vec::new();
        stats.for_each(|name, meaning, number| {
            assert!(meaning.ends_with('.'));
            seen.push((name, number));
        });
        assert!(seen.contains(&("writes", 3)));
    }
}
