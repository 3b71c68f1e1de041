// SPDX-License-Identifier: MIT OR Apache-2.0
//! The protocol's expiry times.

use throughline::{Key, Result, Space, Ttl};

/// Beyond 30 days the number is a date.
const RELATIVE_MAX_S: i64 = 30 * 24 * 3_600;

/// The life that an exptime gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// 0: an item of the plain space has no end; a record's entry has its resource's ttl.
    Unlimited,
    /// So many milliseconds from now.
    Ms(u64),
    /// Over at once: a negative number, or a date in the past.
    Over,
}

impl Life {
    /// What `exptime` means when it is `unix_s` seconds after 1970.
    pub(super) fn of(exptime: i64, unix_s: i64) -> Self {
        let seconds = match exptime {
            0 => return Self::Unlimited,
            ..0 => return Self::Over,
            1..=RELATIVE_MAX_S => exptime,
            _ => exptime.saturating_sub(unix_s),
        };
        match u64::try_from(seconds) {
            Ok(0) | Err(_) => Self::Over,
            Ok(seconds) => Self::Ms(seconds.saturating_mul(1_000)),
        }
    }

    /// The same for the plain space.
    pub(super) fn plain_ttl_ms(self) -> Option<u64> {
        match self {
            Self::Unlimited => None,
            Self::Ms(ms) => Some(ms),
            Self::Over => Some(0),
        }
    }

    /// The same for an entry of a resource, which lives no longer than the resource's ttl.
    pub(super) fn entry_ttl_ms(self, ttl: Ttl) -> u64 {
        match self {
            Self::Unlimited => ttl.entry_ms,
            Self::Ms(ms) => ms.clamp(Ttl::MS_MIN, ttl.entry_ms),
            Self::Over => 0,
        }
    }

    /// Gives the entry of a record this life. Where the record has no entry, nothing is done.
    pub(super) async fn apply(self, space: &Space, key: &Key) -> Result<()> {
        match self {
            Self::Over => space.invalidate(key).await,
            _ => space.touch(key, self.entry_ttl_ms(space.policy().ttl)).await.map(drop),
        }
    }
}

/// Milliseconds in the protocol's whole seconds. What was just set to 90 s is shown as 90.
pub(super) fn whole_seconds(ms: u64) -> u32 {
    u32::try_from(ms.div_ceil(1_000)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Life, whole_seconds};

    #[test]
    fn an_exptime_is_none_relative_a_date_or_over() {
        let now = 1_800_000_000;
        assert_eq!(Life::of(0, now), Life::Unlimited);
        assert_eq!(Life::of(-1, now), Life::Over);
        assert_eq!(Life::of(1, now), Life::Ms(1_000));
        assert_eq!(Life::of(2_592_000, now), Life::Ms(2_592_000_000));
        assert_eq!(Life::of(2_592_001, now), Life::Over);
        assert_eq!(Life::of(now, now), Life::Over);
        assert_eq!(Life::of(now + 60, now), Life::Ms(60_000));
        assert_eq!(Life::of(i64::MIN, now), Life::Over);
        assert!(matches!(Life::of(i64::MAX, now), Life::Ms(_)));
    }

    #[test]
    fn a_begun_second_counts_whole() {
        assert_eq!([0, 1, 1_000, 1_001].map(whole_seconds), [0, 1, 1, 2]);
    }
}
