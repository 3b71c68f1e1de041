// SPDX-License-Identifier: MIT OR Apache-2.0
//! What stands between the engine and a backend, in the order in which a call meets it.
//!
//! A load: retry → breaker → limit → timeout → source. A write: breaker → limit → timeout → source. A look-up
//! in a remote cache: breaker → cache, whose client bounds its queue and has its own deadlines. What polls
//! a source for the daemon's own sake (its control tables) does not come through here, so reads cannot starve it.

use std::sync::Arc;

use throughline_core::{Cache, Clock, Drain, Loader, Rng, Writer};
use throughline_resilience::{
    Breaker, BreakerConfig, BreakerState, Limit, LimitConfig, LimitStats, Rate, Retries, Timeouts,
    break_look_ups,
};

use crate::config::{SourceKind, SourceSettings};
use crate::throughline::Gauge;

/// Loads that a read connection takes at first: look-ups that wait are joined into one statement, so more than
/// one keeps it busy.
const LOADS_PER_CONNECTION: usize = 16;

/// Fewer loads at once than this would let one slow query stop all others.
const LOADS_MIN: usize = 4;

/// The longest time in the queue: longer than a burst takes to drain, shorter than a client waits.
const WAIT_MS_MAX: u64 = 1_000;

/// A load may need this many statements in turn, a write as many, before the source counts as silent.
const STATEMENTS_OF_LOAD: u64 = 2;
const STATEMENTS_OF_WRITE: u64 = 3;

/// A cache that returned should serve soon, and a probe costs one reader one deadline. A connection that is lost takes
/// all look-ups on it along and is back a few milliseconds later: to open then would send more reads to the source
/// than the loss itself.
const CACHE_BREAKER: BreakerConfig = BreakerConfig {
    calls_min: 5,
    failure_percent_min: 50,
    failing_ms_min: 60,
    window_ms: 10_000,
    open_ms_min: 100,
    open_ms_max: 500,
};

/// The protection of one source, common to all its resources.
pub(super) struct SourceGuard {
    name: String,
    retries: Retries,
    breaker: Breaker,
    loads: Limit,
    writes: Limit,
    timeouts: Timeouts,
    /// How many loads per second may go past a cache that does not answer.
    pub(super) bypass_rate: Option<Arc<Rate>>,
}

impl SourceGuard {
    pub(super) fn new(settings: &SourceSettings, clock: &Arc<dyn Clock>, rng: &Arc<Rng>) -> Self {
        let name = settings.name.clone();
        let max = usize::from(settings.concurrency_max);
        let readers = usize::from(settings.read_connections);
        // Over HTTP a connection carries one request, and to wait for one would use up the request's time.
        let (loads_start, loads_max) = match settings.kind {
            SourceKind::Http(_) => (readers, readers.min(max)),
            _ => (readers * LOADS_PER_CONNECTION, max),
        };
        let loads = LimitConfig {
            start: loads_start,
            min: LOADS_MIN.min(loads_max),
            max: loads_max,
            wait_ms_max: WAIT_MS_MAX,
        };
        let writes = LimitConfig::fixed(max, WAIT_MS_MAX);
        let statement_ms = settings.statement_timeout_ms;
        Self {
            retries: Retries::new(rng.clone()),
            breaker: Breaker::new(
                format!("source `{name}`"),
                BreakerConfig::default(),
                clock.clone(),
                rng.clone(),
            ),
            loads: Limit::new(format!("loads from source `{name}`"), loads, clock.clone()),
            writes: Limit::new(format!("writes to source `{name}`"), writes, clock.clone()),
            timeouts: Timeouts::new(statement_ms * STATEMENTS_OF_LOAD, statement_ms * STATEMENTS_OF_WRITE),
            bypass_rate: settings.bypass_rate_max.map(|rate| Arc::new(Rate::new(rate.into(), clock.clone()))),
            name,
        }
    }

    pub(super) fn loader(&self, source: Arc<dyn Loader>) -> Arc<dyn Loader> {
        // Directly around the source, so that a late call gives its permit back.
        let loader = self.timeouts.loader(source);
        // Outside of the time-out, whose clock starts with the permit.
        let loader = self.loads.loader(loader);
        // Outside of the limit, so that what is refused waits for no permit.
        let loader = self.breaker.loader(loader);
        // Outside of the breaker, which then sees every attempt; inside of single-flight, which the engine has.
        self.retries.loader(loader)
    }

    pub(super) fn writer(&self, source: Arc<dyn Writer>) -> Arc<dyn Writer> {
        // As for loads, but never tried again.
        self.breaker.writer(self.writes.writer(self.timeouts.writer(source)))
    }

    /// Batches pause by themselves when they fail; what the other calls know of the source spares it those as well.
    pub(super) fn drain(&self, source: Arc<dyn Drain>) -> Arc<dyn Drain> {
        self.breaker.drain(source)
    }

    pub(super) fn gauges(&self) -> Vec<Gauge> {
        let gauge = |name, meaning, number| Gauge {
            role: "source",
            backend: self.name.clone(),
            node: None,
            name,
            meaning,
            number,
        };
        let (retries, breaker) = (self.retries.stats(), self.breaker.stats());
        let (loads, writes) = (self.loads.stats(), self.writes.stats());
        let LimitStats { limit, in_flight, in_flight_max, waiting, refused } = loads;
        let count = |number: usize| number as u64;
        vec![
            gauge("breaker", BREAKER, state(breaker.state)),
            gauge("breaker_opened", "Times that the breaker opened.", breaker.opened),
            gauge("breaker_refused", "Calls that the open breaker refused.", breaker.refused),
            gauge("load_limit", "Loads that may be at the source at once, as of now.", count(limit)),
            gauge("loads_in_flight", "Loads that are at the source now.", count(in_flight)),
            gauge(
                "loads_in_flight_max",
                "The most loads that were at the source at once.",
                count(in_flight_max),
            ),
            gauge("loads_waiting", "Loads that wait for a permit.", count(waiting)),
            gauge("loads_refused", "Loads that were refused, at once or after waiting.", refused),
            gauge("writes_in_flight", "Writes that are at the source now.", count(writes.in_flight)),
            gauge("writes_refused", "Writes that were refused, at once or after waiting.", writes.refused),
            gauge("load_retries", "Loads that were tried again.", retries.retries),
            gauge(
                "load_retries_unaffordable",
                "Loads that were not, to spare the source.",
                retries.unaffordable,
            ),
            gauge(
                "late_calls",
                "Loads and writes that were given up after their deadline.",
                self.timeouts.count(),
            ),
        ]
    }
}

/// The breakers of a remote cache, one for each of its servers.
#[derive(Clone)]
pub(super) struct CacheGuard {
    nodes: Vec<Breaker>,
}

impl CacheGuard {
    /// `labels` name the servers ("cache `main`"), in the order of their places in the ring.
    pub(super) fn new(
        labels: impl IntoIterator<Item = String>,
        clock: &Arc<dyn Clock>,
        rng: &Arc<Rng>,
    ) -> Self {
        let breaker = |label| Breaker::new(label, CACHE_BREAKER, clock.clone(), rng.clone());
        Self { nodes: labels.into_iter().map(breaker).collect() }
    }

    pub(super) fn cache(&self, cache: Arc<dyn Cache>) -> Arc<dyn Cache> {
        break_look_ups(cache, self.nodes.clone())
    }

    pub(super) fn gauges(&self, name: &str) -> Vec<Gauge> {
        let gauge = |counted, meaning, number| Gauge {
            role: "cache",
            backend: name.to_owned(),
            node: None,
            name: counted,
            meaning,
            number,
        };
        let stats: Vec<_> = self.nodes.iter().map(Breaker::stats).collect();
        // The cache is of use as long as one of its servers is.
        let best = stats.iter().map(|stats| state(stats.state)).min().unwrap_or(0);
        let open = stats.iter().filter(|stats| stats.state != BreakerState::Closed).count();
        vec![
            gauge("breaker", BREAKER, best),
            gauge("breakers_not_closed", "Cache servers whose breaker is not closed.", open as u64),
            gauge(
                "breaker_opened",
                "Times that a breaker opened.",
                stats.iter().map(|stats| stats.opened).sum(),
            ),
            gauge(
                "breaker_refused",
                "Look-ups that an open breaker sent to the source at once.",
                stats.iter().map(|stats| stats.refused).sum(),
            ),
        ]
    }
}

const BREAKER: &str = "The breaker: 0 closed, 1 half-open, 2 open.";

fn state(state: BreakerState) -> u64 {
    match state {
        BreakerState::Closed => 0,
        BreakerState::HalfOpen => 1,
        BreakerState::Open => 2,
    }
}
