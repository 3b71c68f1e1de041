// SPDX-License-Identifier: MIT OR Apache-2.0
//! How the limit follows from how long calls take.
//!
//! The algorithm is Gradient2 of Netflix's concurrency-limits: while calls take about as long as they usually
//! take, the limit grows a little; when they take longer, it shrinks in proportion. Calls that the source did not
//! do in time shrink it by a tenth per window, as additive increase and multiplicative decrease would. Three things
//! are our own: a window's mean is compared, because the clock may be coarse (a mean of many coarse differences is
//! exact, one is not); below [`FLOOR_MS`] no difference counts, because a queue so short harms nobody; and the
//! usual time follows what is faster sooner than what is slower.

use throughline_core::Tick;

use super::LimitConfig;

/// A window is judged when it is so old and holds so many calls.
const WINDOW_MS: u64 = 100;
const WINDOW_CALLS_MIN: u64 = 10;

/// Means below it count as equal.
const FLOOR_MS: f64 = 5.0;

/// How much longer than usual calls may take before the limit shrinks (Gradient2's default).
const TOLERANCE: f64 = 1.5;

/// What a window adds at most, before smoothing: the queue that is allowed at the source (Gradient2's default).
const HEADROOM: f64 = 4.0;

/// How much a window moves the limit (Gradient2's default).
const SMOOTHING: f64 = 0.2;

/// How much a window moves the usual time: down within seconds, up within minutes. Gradient2 has one weight, and in
/// a long overload its usual time becomes the overloaded one, after which the limit grows on.
const FASTER_WEIGHT: f64 = 0.05;
const SLOWER_WEIGHT: f64 = 1.0 / 3_000.0;

/// What is left of the limit when calls were dropped.
const BACK_OFF: f64 = 0.9;

/// How a call went, for the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sample {
    /// It was answered.
    Done,
    /// The source did not do it: too late or too much.
    Dropped,
    /// It says nothing: the caller left, or the source is gone, which is the breaker's business.
    Unknown,
}

#[derive(Debug)]
pub(super) struct Gradient {
    min: f64,
    max: f64,
    limit: f64,
    /// The usual time; `None` until the first window.
    long_ms: Option<f64>,
    window: Window,
}

#[derive(Debug, Default)]
struct Window {
    began: Option<Tick>,
    calls: u64,
    sum_ms: u64,
    in_flight_max: usize,
    dropped: bool,
}

impl Gradient {
    pub(super) fn new(config: &LimitConfig) -> Self {
        let min = config.min.max(1);
        let max = config.max.max(min);
        let limit = config.start.clamp(min, max) as f64;
        Self { min: min as f64, max: max as f64, limit, long_ms: None, window: Window::default() }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit as usize
    }

    /// Notes a call that took `took_ms`, while `in_flight` calls, this among them, were under way.
    pub(super) fn observe(&mut self, sample: Sample, took_ms: u64, now: Tick, in_flight: usize) {
        if sample == Sample::Unknown {
            return;
        }
        let window = &mut self.window;
        let began = *window.began.get_or_insert(now);
        window.in_flight_max = window.in_flight_max.max(in_flight);
        match sample {
            Sample::Dropped => window.dropped = true,
            _ => {
                window.calls += 1;
                window.sum_ms += took_ms;
            }
        }
        let is_old = now.ms_since(began) >= WINDOW_MS;
        if is_old && (window.dropped || window.calls >= WINDOW_CALLS_MIN) {
            let window = std::mem::take(&mut self.window);
            self.judge(&window);
        }
    }

    fn judge(&mut self, window: &Window) {
        if window.dropped {
            self.limit = (self.limit * BACK_OFF).clamp(self.min, self.max);
            return;
        }
        let short_ms = (window.sum_ms as f64 / window.calls as f64).max(FLOOR_MS);
        let long_ms = self.long_ms.unwrap_or(short_ms);
        let weight = if short_ms < long_ms { FASTER_WEIGHT } else { SLOWER_WEIGHT };
        let long_ms = long_ms + (short_ms - long_ms) * weight;
        self.long_ms = Some(long_ms);
        if (window.in_flight_max as f64) < self.limit / 2.0 {
            // The callers are the limit, so nothing was learned about the source.
            return;
        }
        let gradient = (TOLERANCE * long_ms / short_ms).clamp(0.5, 1.0);
        let wanted = self.limit * gradient + HEADROOM;
        self.limit = (self.limit + (wanted - self.limit) * SMOOTHING).clamp(self.min, self.max);
    }
}

#[cfg(test)]
mod tests {
    use super::{Gradient, LimitConfig, Sample};
    use proptest::prelude::{prop, prop_assert, proptest};
    use throughline_core::Tick;

    fn gradient(start: usize) -> Gradient {
        Gradient::new(&LimitConfig { start, min: 2, max: 256, wait_ms_max: 0 })
    }

    /// Runs a source that answers `capacity` calls at once in 20 ms, and more in proportion later, for `windows`.
    fn run(gradient: &mut Gradient, now_ms: &mut u64, capacity: usize, windows: usize) {
        for _ in 0..windows {
            let in_flight = gradient.limit();
            let took_ms = 20 * in_flight.max(capacity) as u64 / capacity as u64;
            for _ in 0..20 {
                *now_ms += 6;
                gradient.observe(Sample::Done, took_ms, Tick::from_ms(*now_ms), in_flight);
            }
        }
    }

    #[test]
    fn the_limit_grows_while_the_source_keeps_up() {
        let (mut gradient, mut now_ms) = (gradient(16), 0);
        run(&mut gradient, &mut now_ms, 1_000, 600);
        assert_eq!(gradient.limit(), 256);
    }

    #[test]
    fn the_limit_stays_near_what_the_source_can_do_at_once() {
        let (mut gradient, mut now_ms) = (gradient(16), 0);
        run(&mut gradient, &mut now_ms, 40, 600);
        assert!((40..=100).contains(&gradient.limit()), "{}", gradient.limit());
    }

    #[test]
    fn the_limit_shrinks_when_the_source_becomes_slower_and_returns() {
        let (mut gradient, mut now_ms) = (gradient(16), 0);
        run(&mut gradient, &mut now_ms, 40, 300);
        let before = gradient.limit();
        run(&mut gradient, &mut now_ms, 8, 30);
        assert!(gradient.limit() < before / 2, "{} of {before}", gradient.limit());
        run(&mut gradient, &mut now_ms, 40, 200);
        assert!(gradient.limit() >= 40, "{}", gradient.limit());
    }

    #[test]
    fn calls_that_are_dropped_shrink_the_limit_once_per_window() {
        let mut gradient = gradient(100);
        for ms in 0..=100 {
            gradient.observe(Sample::Dropped, 0, Tick::from_ms(ms), 100);
        }
        assert_eq!(gradient.limit(), 90);
    }

    proptest! {
        #[test]
        fn the_limit_never_leaves_its_bounds(
            calls in prop::collection::vec((0u8..3, 0u64..1 << 40, 0u64..300, 0usize..1_000), 1..2_000)
        ) {
            let mut gradient = gradient(16);
            let mut now_ms = 0;
            for (sample, took_ms, pause_ms, in_flight) in calls {
                now_ms += pause_ms;
                let sample = [Sample::Done, Sample::Dropped, Sample::Unknown][usize::from(sample)];
                gradient.observe(sample, took_ms, Tick::from_ms(now_ms), in_flight);
                prop_assert!((2..=256).contains(&gradient.limit()));
            }
        }
    }
}
