// SPDX-License-Identifier: MIT OR Apache-2.0
//! An entry that a look-up found.

use std::fmt;
use std::sync::Arc;

use crate::{Entry, Fingerprint, Record, Tick};

/// An entry with its life, as a cache in this process keeps it.
///
/// What every hit looks at comes first, in the 32 bytes that begin with the reference counts and mostly are one
/// cache line.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct KeptEntry {
    deadline: Tick,
    fingerprint: Fingerprint,
    is_negative: bool,
    stored: Tick,
    record: Option<Record>,
}

impl KeptEntry {
    /// `entry` as it was stored at `stored`, to live until `deadline`.
    pub fn new(entry: Entry, stored: Tick, deadline: Tick) -> Self {
        let Entry { record, fingerprint } = entry;
        Self { deadline, fingerprint, is_negative: record.is_none(), stored, record }
    }

    /// The same with another end.
    #[must_use]
    pub fn until(&self, deadline: Tick) -> Self {
        Self { deadline, ..self.clone() }
    }

    /// Whether its life is over.
    #[inline]
    pub fn is_expired(&self, now: Tick) -> bool {
        now >= self.deadline
    }

    /// The record; `None` when the source has no such key.
    #[inline]
    pub fn record(&self) -> Option<&Record> {
        self.record.as_ref()
    }
}

/// An entry that was found, as it was at that moment.
///
/// Two words, so that it is returned in registers, and shared with the cache that keeps it, so that nothing is copied.
#[derive(Clone)]
pub struct Hit {
    kept: Arc<KeptEntry>,
    now: Tick,
}

impl Hit {
    /// What was found at `now`.
    #[inline]
    pub fn of(kept: Arc<KeptEntry>, now: Tick) -> Self {
        Self { kept, now }
    }

    /// An entry from elsewhere: filled `age_ms` ago, expires in `ttl_left_ms`.
    pub fn new(entry: Entry, age_ms: u64, ttl_left_ms: u64) -> Self {
        let now = Tick::from_ms(age_ms);
        Self { kept: Arc::new(KeptEntry::new(entry, Tick::from_ms(0), now.after_ms(ttl_left_ms))), now }
    }

    /// The record; `None` when this says that the source has no such key.
    #[inline]
    pub fn record(&self) -> Option<&Record> {
        self.kept.record()
    }

    /// Whether this says that the source has no such key.
    #[inline]
    pub fn is_negative(&self) -> bool {
        self.kept.is_negative
    }

    /// What the bytes mean.
    #[inline]
    pub fn fingerprint(&self) -> Fingerprint {
        self.kept.fingerprint
    }

    /// The entry to keep; its bytes are shared, not copied.
    pub fn into_entry(self) -> Entry {
        let fingerprint = self.kept.fingerprint;
        let record = match Arc::try_unwrap(self.kept) {
            Ok(kept) => kept.record,
            Err(shared) => shared.record.clone(),
        };
        Entry { record, fingerprint }
    }

    /// Milliseconds since it was filled or published, as exact as the cache counts (memcached: seconds).
    #[inline]
    pub fn age_ms(&self) -> u64 {
        self.now.ms_since(self.kept.stored)
    }

    /// Milliseconds until it expires, as exact as the cache counts.
    #[inline]
    pub fn ttl_left_ms(&self) -> u64 {
        self.kept.deadline.ms_since(self.now)
    }
}

impl PartialEq for Hit {
    fn eq(&self, other: &Self) -> bool {
        let whole = |hit: &Self| (hit.fingerprint(), hit.age_ms(), hit.ttl_left_ms());
        self.record() == other.record() && whole(self) == whole(other)
    }
}

impl Eq for Hit {}

impl fmt::Debug for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hit")
            .field("record", &self.record())
            .field("fingerprint", &self.fingerprint())
            .field("age_ms", &self.age_ms())
            .field("ttl_left_ms", &self.ttl_left_ms())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{Entry, Hit};
    use crate::{Fingerprint, Record};

    #[test]
    fn a_hit_says_what_it_was_made_of() {
        let entry = Entry { record: Some(Record::from_content("v")), fingerprint: Fingerprint::from_bits(7) };
        let hit = Hit::new(entry.clone(), 10, 290);
        assert_eq!((hit.record(), hit.age_ms(), hit.ttl_left_ms()), (entry.record.as_ref(), 10, 290));
        assert!(!hit.is_negative());
        assert_ne!(hit, Hit::new(entry, 11, 290));
        assert_eq!(hit.clone().into_entry(), hit.into_entry());
    }
}
