// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rate: so many calls per second, with a second's worth at once.

use std::sync::Arc;

use parking_lot::Mutex;
use throughline_core::{Clock, Tick};

/// A bucket that holds tokens for one second and is refilled as time passes.
#[derive(Debug)]
pub struct Rate {
    per_second: u64,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Thousandths of a token, so that a millisecond refills `per_second` of them.
    milli: u64,
    at: Tick,
}

impl Rate {
    /// A full bucket of `per_second` tokens.
    pub fn new(per_second: u64, clock: Arc<dyn Clock>) -> Self {
        let state = Mutex::new(State { milli: per_second * 1_000, at: clock.now() });
        Self { per_second, clock, state }
    }

    /// Takes a token, if there is one.
    pub fn take(&self) -> bool {
        let now = self.clock.now();
        let mut state = self.state.lock();
        let refill = now.ms_since(state.at).saturating_mul(self.per_second);
        state.milli = state.milli.saturating_add(refill).min(self.per_second * 1_000);
        state.at = now.max(state.at);
        let Some(left) = state.milli.checked_sub(1_000) else { return false };
        state.milli = left;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Rate;
    use throughline_testkit::ManualClock;

    #[test]
    fn no_more_than_the_rate_and_one_second_ahead_is_given() {
        let clock = Arc::new(ManualClock::default());
        let rate = Rate::new(10, clock.clone());
        let given = |count: usize| (0..count).filter(|_| rate.take()).count();
        assert_eq!(given(100), 10);
        clock.advance_ms(250);
        assert_eq!(given(100), 2);
        clock.advance_ms(50);
        assert_eq!(given(100), 1);
        clock.advance_ms(3_600_000);
        assert_eq!(given(100), 10);
    }
}
