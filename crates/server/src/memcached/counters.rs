// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the door counts, under memcached's names where memcached has one.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// As many stripes as threads are likely to count at once. A connection keeps to one of them.
const STRIPES: usize = 16;

/// The counters of a door, in stripes that connections share out among themselves, so that two threads
/// seldom write to the same cache line.
#[derive(Debug, Default)]
pub(super) struct Counters {
    stripes: [Stripe; STRIPES],
    next: AtomicUsize,
}

impl Counters {
    /// Which stripe a new connection uses.
    pub(super) fn assign(&self) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed) % STRIPES
    }

    /// A stripe.
    pub(super) fn stripe(&self, place: usize) -> &Stripe {
        &self.stripes[place % STRIPES]
    }
}

macro_rules! counters {
    ($($name:ident,)+) => {
        /// A part of the counters.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub(super) struct Stripe {
            $(pub(super) $name: Count,)+
        }

        impl Counters {
            /// Calls `each` with the name and the number of every counter.
            pub(super) fn for_each(&self, mut each: impl FnMut(&'static str, u64)) {
                $(each(stringify!($name), self.stripes.iter().map(|stripe| stripe.$name.get()).sum());)+
            }
        }
    };
}

counters! {
    cmd_set,
    cmd_flush,
    cmd_touch,
    cmd_meta,
    get_hits,
    get_misses,
    delete_hits,
    delete_misses,
    incr_hits,
    incr_misses,
    decr_hits,
    decr_misses,
    cas_hits,
    cas_misses,
    cas_badval,
    touch_hits,
    touch_misses,
    keys_without_resource,
    client_errors,
    server_errors,
    stalled_connections,
    bytes_read,
    bytes_written,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::{Counters, STRIPES};

    #[test]
    fn every_stripe_is_in_the_sum() {
        let counters = Counters::default();
        for _ in 0..2 * STRIPES {
            counters.stripe(counters.assign()).cmd_set.add(1);
        }
        let mut sum = None;
        counters.for_each(|name, number| {
            if name == "cmd_set" {
                sum = Some(number);
            }
        });
        assert_eq!(sum, Some(2 * STRIPES as u64));
    }
}
