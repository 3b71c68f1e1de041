// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an operator chooses for a resource.

use std::fmt;

/// What a read may return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Never older than a write that completed before the read began, and never backward, per key.
    Strict,
    /// At most the resource's ttl old.
    Bounded,
}

/// Where reads go. It can be changed while the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The cache answers; a miss is loaded from the source.
    Cache,
    /// Every read goes to the source; writes still invalidate.
    Source,
    /// The source answers, and each answer is compared with what the cache would have said.
    Shadow,
}

/// How a miss is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadStrategy {
    /// Each caller asks the cache, loads on a miss and fills; nobody waits for another's load.
    CacheAside,
    /// The resource stands between: concurrent misses of a key are one load, the others join it.
    ReadThrough,
}

/// How a write reaches source and cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteStrategy {
    /// Source first, then the written value is published to the cache.
    WriteThrough,
    /// Source only; the cached entry is invalidated and the next read fills it.
    WriteAround,
    /// A journal first, which answers; the source later. The written value is published to the cache.
    WriteBehind,
}

/// Whether a resource's records may be changed through Throughline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads and invalidations only.
    Read,
    /// Reads and writes.
    Write,
}

/// How long entries of a resource live in the cache. Milliseconds, each at least 2,000 and at most 30 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ttl {
    /// Life of an entry that holds a record, before jitter.
    pub entry_ms: u64,
    /// Life of a negative entry, before jitter.
    pub negative_ms: u64,
    /// Each life is shortened by a random part of up to this many hundredths, so that entries which
    /// were filled together do not expire together. 0 to 50.
    pub jitter_percent: u8,
}

impl Ttl {
    /// The shortest life: memcached drops an entry with a time to live of 1 s after less than half of it.
    pub const MS_MIN: u64 = 2_000;
    /// The longest life, 30 days: beyond it memcached reads the number as a date.
    pub const MS_MAX: u64 = 30 * 24 * 3600 * 1_000;
}

impl Default for Ttl {
    fn default() -> Self {
        Self { entry_ms: 300_000, negative_ms: 30_000, jitter_percent: 10 }
    }
}

macro_rules! spelled {
    ($kind:ty { $($variant:ident => $text:literal),+ $(,)? }) => {
        impl $kind {
            /// Every choice, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The choice as configuration, CLI and HTTP spell it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The choice that is spelled `text`, if there is one.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|choice| choice.as_str() == text)
            }
        }

        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

spelled!(Level { Strict => "strict", Bounded => "bounded" });
spelled!(Mode { Cache => "cache", Source => "source", Shadow => "shadow" });
spelled!(ReadStrategy { CacheAside => "cache-aside", ReadThrough => "read-through" });
spelled!(WriteStrategy { WriteThrough => "write-through", WriteAround => "write-around", WriteBehind => "write-behind" });
spelled!(Access { Read => "read", Write => "write" });

#[cfg(test)]
mod tests {
    use super::{Mode, WriteStrategy};

    #[test]
    fn every_choice_is_read_back_as_it_is_spelled() {
        for mode in Mode::ALL {
            assert_eq!(Mode::parse(mode.as_str()), Some(*mode));
        }
        assert_eq!(WriteStrategy::parse("write-sideways"), None);
    }
}
