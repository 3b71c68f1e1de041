// SPDX-License-Identifier: MIT OR Apache-2.0
//! Time that passes only when a test says so.

use std::sync::atomic::{AtomicU64, Ordering};

use throughline_core::{Clock, Tick};

/// A clock that stands until it is advanced.
#[derive(Debug)]
pub struct ManualClock {
    now_ms: AtomicU64,
}

impl Default for ManualClock {
    /// Starts an hour after its origin, so that a mistaken difference with tick 0 shows.
    fn default() -> Self {
        Self { now_ms: AtomicU64::new(3_600_000) }
    }
}

impl ManualClock {
    /// Lets `ms` milliseconds pass.
    pub fn advance_ms(&self, ms: u64) {
        self.now_ms.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Tick {
        Tick::from_ms(self.now_ms.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::{Clock as _, ManualClock};

    #[test]
    fn time_passes_only_when_it_is_told_to() {
        let clock = ManualClock::default();
        let before = clock.now();
        assert_eq!(clock.now(), before);
        clock.advance_ms(7);
        assert_eq!(clock.now().ms_since(before), 7);
    }
}
