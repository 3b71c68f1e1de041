// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which entries are too old to be used, although they have not expired.
//!
//! Two things make entries too old. News of another program's writes may be late: then nobody knows what has
//! become of an entry that is older than the resource's `max_staleness`. Or a whole table changed, and its entries are
//! on a server that others share, where they cannot be dropped at once: then those from before are not used.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use throughline_core::{Hit, Tick};

/// How much later than the event an entry must have been filled to be used: a lease lives 5 s, so a load that
/// began before the event fills at most so much later; and memcached tells ages in whole seconds.
const FLOOR_MARGIN_MS: u64 = 7_000;

/// The limits of one resource.
#[derive(Debug, Default)]
pub(crate) struct Freshness {
    any: AtomicBool,
    /// Whether news are late.
    late: AtomicBool,
    /// Entries that were filled before this moment are not used; 0 without such a limit.
    floor_ms: AtomicU64,
}

impl Freshness {
    /// Whether there is any limit; one load, for the hit.
    pub(crate) fn is_limited(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// Whether an entry may be used that was found `now`.
    pub(crate) fn allows(&self, hit: &Hit, now: Tick, staleness_ms_max: u64) -> bool {
        if !self.is_limited() {
            return true;
        }
        let filled_ms = now.as_ms().saturating_sub(hit.age_ms());
        let too_old = self.late.load(Ordering::Acquire) && hit.age_ms() >= staleness_ms_max;
        !too_old && filled_ms >= self.floor_ms.load(Ordering::Acquire)
    }

    /// Whether news are late.
    pub(crate) fn is_late(&self) -> bool {
        self.late.load(Ordering::Acquire)
    }

    /// Says whether news are late; whether that is a change.
    pub(crate) fn set_late(&self, late: bool) -> bool {
        let changed = self.late.swap(late, Ordering::AcqRel) != late;
        self.any.store(late || self.floor_ms.load(Ordering::Acquire) > 0, Ordering::Release);
        changed
    }

    /// Lets no entry be used that may hold what was read before `event`.
    pub(crate) fn raise_floor(&self, event: Tick) {
        self.floor_ms.fetch_max(event.after_ms(FLOOR_MARGIN_MS).as_ms(), Ordering::AcqRel);
        self.any.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::{FLOOR_MARGIN_MS, Freshness};
    use throughline_core::{Entry, Fingerprint, Hit, Tick};

    fn aged(age_ms: u64) -> Hit {
        let entry = Entry { record: None, fingerprint: Fingerprint::default() };
        Hit::new(entry, age_ms, 1)
    }

    const NOW: Tick = Tick::from_ms(1_000_000);

    #[test]
    fn late_news_limit_the_age_and_only_while_they_are_late() {
        let freshness = Freshness::default();
        assert!(freshness.allows(&aged(50_000), NOW, 10_000));
        assert!(freshness.set_late(true));
        assert!(freshness.allows(&aged(9_999), NOW, 10_000));
        assert!(!freshness.allows(&aged(10_000), NOW, 10_000));
        assert!(freshness.set_late(false) && !freshness.is_limited());
        assert!(freshness.allows(&aged(50_000), NOW, 10_000));
    }

    #[test]
    fn entries_from_before_a_floor_are_not_used() {
        let freshness = Freshness::default();
        freshness.raise_floor(Tick::from_ms(900_000));
        assert!(freshness.allows(&aged(100_000 - FLOOR_MARGIN_MS), NOW, 10_000));
        assert!(!freshness.allows(&aged(100_000 - FLOOR_MARGIN_MS + 1), NOW, 10_000));
        // An older event does not lower it.
        freshness.raise_floor(Tick::from_ms(1));
        assert!(!freshness.allows(&aged(100_000), NOW, 10_000));
    }
}
