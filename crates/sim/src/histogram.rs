// SPDX-License-Identifier: MIT OR Apache-2.0
//! Counts durations in buckets, so that percentiles of millions need a few kilobytes.

/// Buckets per doubling; a percentile is at most 1/16 too high.
const STEPS: u64 = 16;
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// One linear run below `STEPS`, then `STEPS` buckets for each of the other doublings of a `u64`.
const BUCKETS: usize = ((64 - STEP_BITS as usize) + 1) * STEPS as usize;

/// Durations in nanoseconds, counted in buckets of 1/16 of their size.
#[derive(Clone, Debug)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    max_ns: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS], count: 0, max_ns: 0 }
    }
}

impl Histogram {
    /// Counts one duration.
    pub fn add(&mut self, ns: u64) {
        self.buckets[bucket(ns)] += 1;
        self.count += 1;
        self.max_ns = self.max_ns.max(ns);
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The largest one, exactly.
    pub fn max_ns(&self) -> u64 {
        self.max_ns
    }

    /// The duration that `percent` of all do not exceed, rounded up by at most 1/16; 0 when there is none.
    pub fn percentile_ns(&self, percent: u64) -> u64 {
        let wanted = (self.count * percent).div_ceil(100).max(1);
        let mut passed = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            passed += count;
            if passed >= wanted {
                return upper(index).min(self.max_ns);
            }
        }
        0
    }
}

fn bucket(ns: u64) -> usize {
    let shift = ns.checked_ilog2().unwrap_or(0).saturating_sub(STEP_BITS);
    (u64::from(shift) * STEPS + (ns >> shift)) as usize
}

/// The largest duration that falls into the bucket.
fn upper(index: usize) -> u64 {
    let index = index as u64;
    if index < 2 * STEPS {
        return index;
    }
    let shift = index / STEPS - 1;
    ((((index % STEPS + STEPS + 1) as u128) << shift) - 1) as u64
}

#[cfg(test)]
mod tests {
    use super::{BUCKETS, Histogram, bucket, upper};

    #[test]
    fn every_duration_falls_into_a_bucket_that_covers_it() {
        for ns in (0..200).chain((5..64).flat_map(|bit| [(1 << bit) - 1, 1 << bit, (1 << bit) + 1])) {
            let index = bucket(ns);
            assert!(ns <= upper(index) && upper(index) - ns <= ns / 16, "{ns} in {index}");
            assert!(index == 0 || upper(index - 1) < ns, "{ns} in {index}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
        assert_eq!(upper(BUCKETS - 1), u64::MAX);
    }

    #[test]
    fn percentiles_are_at_most_a_sixteenth_too_high() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentile_ns(99), 0);
        (1..=1000).for_each(|ns| histogram.add(ns));
        assert!((500..=532).contains(&histogram.percentile_ns(50)));
        assert!((990..=1000).contains(&histogram.percentile_ns(99)));
        assert_eq!((histogram.max_ns(), histogram.count()), (1000, 1000));
    }
}
