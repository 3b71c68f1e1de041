// SPDX-License-Identifier: MIT OR Apache-2.0
//! Time, as everything below the facade sees it.

use std::fmt;

/// A moment in milliseconds since an origin of the clock's own choosing.
///
/// Only differences mean anything, and only between ticks of one clock: no wall-clock time is ever
/// compared between machines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(u64);

impl Tick {
    /// The moment `ms` milliseconds after the clock's origin.
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the clock's origin.
    pub const fn as_ms(self) -> u64 {
        self.0
    }

    /// This moment plus `ms` milliseconds; stays at the largest tick instead of overflowing.
    #[must_use]
    pub const fn after_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this moment, 0 when `earlier` is not earlier.
    pub const fn ms_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Tells the time; the only way by which anything below the facade learns it.
///
/// It never goes backward. It may be coarse (a few milliseconds), because it is read on every hit.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> Tick;
}
