// SPDX-License-Identifier: MIT OR Apache-2.0
//! Breaker: refuses calls to a backend that does not answer, and lets one probe through now and then.
//!
//! Closed it lets every call through and counts; when failures prevail it opens. Open it refuses at once, for
//! a time that doubles with every failed probe. When that time is over, one call is let through as a probe
//! (half-open): its success closes the breaker, its failure opens it again. Only what speaks of the backend's
//! health counts; an invalid key or a violated constraint says nothing about it.

mod cache;
mod source;

pub use cache::break_look_ups;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use throughline_core::{Clock, Error, ErrorKind, Result, Rng, Tick};

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerConfig {
    /// Calls, since the first failure, below which it never opens.
    pub calls_min: u64,
    /// Failures in a hundred calls from which on it opens.
    pub failure_percent_min: u64,
    /// Milliseconds from the first failure below which it never opens: what many callers suffer at the same moment, such
    /// as a connection that is lost, is one event.
    pub failing_ms_min: u64,
    /// Milliseconds after which earlier failures are forgotten.
    pub window_ms: u64,
    /// Milliseconds that it is open at first; up to a quarter more by chance, so that daemons do not probe together.
    pub open_ms_min: u64,
    /// The longest such time, in milliseconds.
    pub open_ms_max: u64,
}

impl Default for BreakerConfig {
    /// Five failures of which half of the calls in 10 s consist open it, for 250 ms up to 2 s: a probe every two
    /// seconds costs a database nothing, and a longer time would only delay the return.
    fn default() -> Self {
        Self {
            calls_min: 5,
            failure_percent_min: 50,
            failing_ms_min: 0,
            window_ms: 10_000,
            open_ms_min: 250,
            open_ms_max: 2_000,
        }
    }
}

/// Why a call was refused: the cause of the error that an open breaker answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerOpen {
    /// Milliseconds until it lets a probe through; 0 when a probe is under way.
    pub left_ms: u64,
}

impl fmt::Display for BreakerOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.left_ms {
            0 => f.write_str("a probe is under way"),
            left_ms => write!(f, "the next probe is in {left_ms} ms"),
        }
    }
}

impl std::error::Error for BreakerOpen {}

/// What a breaker does with calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BreakerState {
    /// Lets every one through.
    #[default]
    Closed,
    /// Lets one through, whose outcome decides.
    HalfOpen,
    /// Refuses every one.
    Open,
}

/// What a breaker counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BreakerStats {
    /// What it does with calls now.
    pub state: BreakerState,
    /// How often it opened after having been closed.
    pub opened: u64,
    /// Calls that it refused.
    pub refused: u64,
}

/// What a call's outcome says of its backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Good,
    Bad,
    /// Nothing.
    Unknown,
}

/// A breaker in front of one backend, shared by all who call it. A clone is another handle.
#[derive(Clone, Debug)]
pub struct Breaker(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// What is behind it, for errors: "source `main`".
    label: String,
    config: BreakerConfig,
    clock: Arc<dyn Clock>,
    rng: Arc<Rng>,
    /// Grows when it opens (odd from then on) and when it closes (even), so that a call that began before says
    /// nothing about after, and a closed breaker costs one read of it.
    epoch: AtomicU64,
    /// Successes while closed.
    good: AtomicU64,
    state: Mutex<State>,
    opened: AtomicU64,
    refused: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    /// Failures since `since`, and the number of successes at that time.
    bad: u64,
    good_before: u64,
    since: Tick,
    /// While open: until when, how long the next time will be, and whether a probe is under way.
    until: Tick,
    open_ms: u64,
    is_probing: bool,
}

impl Breaker {
    /// A closed breaker in front of what `label` names ("source `main`").
    pub fn new(label: String, config: BreakerConfig, clock: Arc<dyn Clock>, rng: Arc<Rng>) -> Self {
        Self(Arc::new(Inner {
            label,
            config,
            clock,
            rng,
            epoch: AtomicU64::new(0),
            good: AtomicU64::new(0),
            state: Mutex::default(),
            opened: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }))
    }

    /// What it counted so far.
    pub fn stats(&self) -> BreakerStats {
        let until = self.0.state.lock().until;
        let state = match self.0.clock.now() >= until {
            _ if !is_open(self.0.epoch.load(Ordering::Acquire)) => BreakerState::Closed,
            true => BreakerState::HalfOpen,
            false => BreakerState::Open,
        };
        BreakerStats {
            state,
            opened: self.0.opened.load(Ordering::Relaxed),
            refused: self.0.refused.load(Ordering::Relaxed),
        }
    }

    /// Lets a call through or says until when none is let through.
    fn admit(&self, operation: &'static str) -> Result<Pass<'_>> {
        let epoch = self.0.epoch.load(Ordering::Acquire);
        if !is_open(epoch) {
            return Ok(Pass { breaker: &self.0, epoch, is_probe: false, settled: false });
        }
        let mut state = self.0.state.lock();
        // It may have closed since.
        let epoch = self.0.epoch.load(Ordering::Acquire);
        if !is_open(epoch) {
            return Ok(Pass { breaker: &self.0, epoch, is_probe: false, settled: false });
        }
        let left_ms = state.until.ms_since(self.0.clock.now());
        if left_ms == 0 && !state.is_probing {
            state.is_probing = true;
            return Ok(Pass { breaker: &self.0, epoch, is_probe: true, settled: false });
        }
        drop(state);
        self.0.refused.fetch_add(1, Ordering::Relaxed);
        let open = BreakerOpen { left_ms };
        let detail = format!("the breaker of {} is open, {open}", self.0.label);
        Err(Error::new(ErrorKind::Unavailable, operation, detail).with_cause(open))
    }
}

/// A call that was let through.
#[derive(Debug)]
struct Pass<'a> {
    breaker: &'a Inner,
    epoch: u64,
    is_probe: bool,
    settled: bool,
}

impl Pass<'_> {
    /// Tells how the call went.
    fn settle(mut self, health: Health) {
        self.settled = true;
        match health {
            _ if self.is_probe => self.breaker.probed(health),
            Health::Good => self.breaker.count_good(self.epoch),
            Health::Bad => self.breaker.count_bad(self.epoch),
            Health::Unknown => {}
        }
    }
}

/// Whoever drops a call that was a probe leaves the probing to the next.
impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.is_probe && !self.settled {
            self.breaker.probed(Health::Unknown);
        }
    }
}

impl Inner {
    fn count_good(&self, epoch: u64) {
        if self.epoch.load(Ordering::Relaxed) == epoch {
            self.good.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn count_bad(&self, epoch: u64) {
        let now = self.clock.now();
        let mut state = self.state.lock();
        if self.epoch.load(Ordering::Acquire) != epoch {
            return;
        }
        let good = self.good.load(Ordering::Relaxed);
        if state.bad == 0 || now.ms_since(state.since) > self.config.window_ms {
            (state.bad, state.good_before, state.since) = (0, good, now);
        }
        state.bad += 1;
        let calls = state.bad + (good - state.good_before);
        let is_one_event = now.ms_since(state.since) < self.config.failing_ms_min;
        let prevail = state.bad * 100 >= self.config.failure_percent_min * calls;
        if is_one_event || calls < self.config.calls_min || !prevail {
            return;
        }
        state.open_ms = self.config.open_ms_min;
        self.open(&mut state, now);
        self.epoch.store(epoch + 1, Ordering::Release);
        self.opened.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(backend = %self.label, failures = state.bad, calls, "the breaker opens");
    }

    /// Ends a probe. There is one at a time and only it closes the breaker, so no epoch need be compared.
    fn probed(&self, health: Health) {
        let now = self.clock.now();
        let mut state = self.state.lock();
        state.is_probing = false;
        match health {
            Health::Good => {
                state.bad = 0;
                self.epoch.fetch_add(1, Ordering::Release);
                tracing::info!(backend = %self.label, "the breaker closes");
            }
            Health::Bad => self.open(&mut state, now),
            // Neither proved nor disproved: the next call probes.
            Health::Unknown => {}
        }
    }

    fn open(&self, state: &mut State, now: Tick) {
        state.until = now.after_ms(state.open_ms + self.rng.below(state.open_ms / 4 + 1));
        state.open_ms = (state.open_ms * 2).min(self.config.open_ms_max);
    }
}

fn is_open(epoch: u64) -> bool {
    epoch % 2 == 1
}

#[cfg(test)]
mod tests;
