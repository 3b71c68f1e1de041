// SPDX-License-Identifier: MIT OR Apache-2.0
//! Limit: so many calls at the source at once, as many as it answers well, and a bounded queue for the rest.
//!
//! The limit of loads adapts to how long they take (`gradient`); that of writes stands still, because how long
//! a write takes says more about its row's lock than about the source. Each has its own permits, so that writes
//! do not wait behind reads. A call that waits has a deadline, after which it is refused and never begun. The
//! queue is first come, first served, until its head has waited for long: from then on the newest goes first,
//! since its caller is the likeliest to be there still ("Fail at Scale", ACM Queue 13(8), 2015).
//!
//! A cold start is paced by it: what misses at once goes to the source a limit at a time.
//!
//! It must be inside of the breaker, whose refusals need no permit, and outside of the time-out, whose clock
//! starts with the permit.

mod gradient;
mod source;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use throughline_core::{Clock, Error, ErrorKind, Result, Tick};
use tokio::sync::oneshot;

use gradient::{Gradient, Sample};

/// A head of the queue that has waited for so many milliseconds means overload.
const LONG_WAIT_MS: u64 = 100;

/// How much may be under way and wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitConfig {
    /// The limit at first, at least 1.
    pub start: usize,
    /// The lowest that it becomes, at least 1.
    pub min: usize,
    /// The highest that it becomes, and how many calls may wait.
    pub max: usize,
    /// The longest time that a call waits, in milliseconds.
    pub wait_ms_max: u64,
}

impl LimitConfig {
    /// A limit that stands still.
    pub fn fixed(limit: usize, wait_ms_max: u64) -> Self {
        Self { start: limit, min: limit, max: limit, wait_ms_max }
    }
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitStats {
    /// The limit now.
    pub limit: usize,
    /// Calls that are at the source now.
    pub in_flight: usize,
    /// The most that ever were.
    pub in_flight_max: usize,
    /// Calls that wait now, and those that gave up waiting and were not met yet.
    pub waiting: usize,
    /// Calls that were refused, at once or after waiting.
    pub refused: u64,
}

/// The permits of one kind of call to one source. A clone is another handle.
#[derive(Clone, Debug)]
pub struct Limit(Arc<Inner>);

struct Inner {
    /// What is behind it, for errors: "loads from source `main`".
    label: String,
    config: LimitConfig,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    refused: AtomicU64,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limit")
            .field("label", &self.label)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

struct State {
    gradient: Gradient,
    in_flight: usize,
    in_flight_max: usize,
    /// In the order of arrival; at most `config.max`.
    waiting: VecDeque<Waiting>,
}

struct Waiting {
    since: Tick,
    turn: oneshot::Sender<Permit>,
}

impl Limit {
    /// A limit of what `label` names ("loads from source `main`").
    pub fn new(label: String, config: LimitConfig, clock: Arc<dyn Clock>) -> Self {
        let state = State {
            gradient: Gradient::new(&config),
            in_flight: 0,
            in_flight_max: 0,
            waiting: VecDeque::new(),
        };
        Self(Arc::new(Inner { label, config, clock, state: Mutex::new(state), refused: AtomicU64::new(0) }))
    }

    /// What it counted so far.
    pub fn stats(&self) -> LimitStats {
        let state = self.0.state.lock();
        LimitStats {
            limit: state.gradient.limit(),
            in_flight: state.in_flight,
            in_flight_max: state.in_flight_max,
            waiting: state.waiting.len(),
            refused: self.0.refused.load(Ordering::Relaxed),
        }
    }

    /// Waits for a permit.
    ///
    /// # Errors
    /// [`ErrorKind::Overloaded`]: nothing was sent.
    ///
    /// # Cancel safety
    /// A permit that was on its way to a caller who left goes to the next.
    async fn acquire(&self, operation: &'static str) -> Result<Permit> {
        let turn = match self.0.enter(&self.0) {
            Entered::Permit(permit) => return Ok(permit),
            Entered::Wait(turn) => turn,
        };
        let limit = Duration::from_millis(self.0.config.wait_ms_max);
        match tokio::time::timeout(limit, turn).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(self.0.refuse(operation, "as many as may wait did so")),
            Err(_) => Err(self.0.refuse(operation, "the wait for a turn took too long")),
        }
    }
}

enum Entered {
    Permit(Permit),
    Wait(oneshot::Receiver<Permit>),
}

impl Inner {
    fn enter(&self, this: &Arc<Self>) -> Entered {
        let now = self.clock.now();
        let mut state = self.state.lock();
        if state.in_flight < state.gradient.limit() && state.waiting.is_empty() {
            return Entered::Permit(state.admit(this, now));
        }
        if state.waiting.len() >= self.config.max {
            // Callers that left must not keep others out.
            state.waiting.retain(|waiting| !waiting.turn.is_closed());
        }
        if state.waiting.len() >= self.config.max {
            // The one that has waited longest is the nearest to its deadline; it is told by its sender's end.
            state.waiting.pop_front();
        }
        let (turn, receiver) = oneshot::channel();
        state.waiting.push_back(Waiting { since: now, turn });
        // Whoever left since may have left room that nobody was told of.
        state.hand_out(this, now);
        Entered::Wait(receiver)
    }

    fn leave(this: &Arc<Self>, sample: Sample, since: Tick) {
        let now = this.clock.now();
        let mut state = this.state.lock();
        let in_flight = state.in_flight;
        state.gradient.observe(sample, now.ms_since(since), now, in_flight);
        state.in_flight -= 1;
        state.hand_out(this, now);
    }

    fn refuse(&self, operation: &'static str, why: &str) -> Error {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let limit = self.state.lock().gradient.limit();
        let detail = format!("{limit} {} are under way, which is the limit now, and {why}", self.label);
        Error::new(ErrorKind::Overloaded, operation, detail)
    }
}

impl State {
    fn admit(&mut self, inner: &Arc<Inner>, now: Tick) -> Permit {
        self.in_flight += 1;
        self.in_flight_max = self.in_flight_max.max(self.in_flight);
        Permit { limit: Some(Arc::clone(inner)), since: now }
    }

    /// Gives free permits to those who wait.
    fn hand_out(&mut self, inner: &Arc<Inner>, now: Tick) {
        while self.in_flight < self.gradient.limit() {
            let is_overloaded =
                self.waiting.front().is_some_and(|head| now.ms_since(head.since) >= LONG_WAIT_MS);
            let next = if is_overloaded { self.waiting.pop_back() } else { self.waiting.pop_front() };
            let Some(next) = next else { return };
            let permit = self.admit(inner, now);
            if let Err(mut permit) = next.turn.send(permit) {
                // Dropped as it is, it would lock what is locked here.
                permit.limit = None;
                self.in_flight -= 1;
            }
        }
    }
}

/// The right to one call. Dropped, it makes room and says nothing about the source.
struct Permit {
    limit: Option<Arc<Inner>>,
    since: Tick,
}

impl Permit {
    /// Gives the permit back and tells how the call went.
    fn finish<T>(mut self, outcome: &Result<T>) {
        let sample = match outcome.as_ref().map_err(Error::kind) {
            Ok(_) => Sample::Done,
            Err(ErrorKind::Timeout | ErrorKind::Overloaded) => Sample::Dropped,
            Err(_) => Sample::Unknown,
        };
        if let Some(limit) = self.limit.take() {
            Inner::leave(&limit, sample, self.since);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(limit) = self.limit.take() {
            Inner::leave(&limit, Sample::Unknown, self.since);
        }
    }
}

#[cfg(test)]
mod tests;
