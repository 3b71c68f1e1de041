// SPDX-License-Identifier: MIT OR Apache-2.0
//! How many requests there were, by route, method and status, and how long they took.
//!
//! Every count has its place from the start, so counting takes no lock and no request can make the table
//! grow.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use tokio::time::Instant;

use super::PATTERNS;

/// The methods that are told apart; the last stands for all others.
const METHODS: [&str; 6] = ["GET", "HEAD", "PUT", "POST", "DELETE", "other"];

/// The statuses that this door answers with, and `0` for any other.
const STATUSES: [u16; 23] = [
    200, 201, 204, 304, 400, 401, 403, 404, 405, 408, 409, 412, 413, 414, 415, 421, 422, 431, 500, 502, 503,
    504, 0,
];

/// Upper bounds of the duration's buckets, in microseconds: from a hit in memory to a statement time-out.
const BUCKETS_US: [u64; 13] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000];

/// The route of requests that met none.
const UNMATCHED: &str = "none";

/// The counts.
#[derive(Default)]
pub(crate) struct RequestStats {
    in_flight: AtomicU64,
    routes: [RouteStats; PATTERNS.len() + 1],
}

#[derive(Default)]
struct RouteStats {
    requests: [[AtomicU64; STATUSES.len()]; METHODS.len()],
    /// One count per bucket, not cumulative; the last is beyond all bounds.
    buckets: [AtomicU64; BUCKETS_US.len() + 1],
    total_us: AtomicU64,
}

impl fmt::Debug for RequestStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestStats").field("in_flight", &self.in_flight).finish_non_exhaustive()
    }
}

/// A request in flight. Dropped without an end (its client left), it is only no longer in flight.
pub(crate) struct Measured<'a> {
    stats: &'a RequestStats,
    route: &'a RouteStats,
    method: usize,
    began: Instant,
}

impl RequestStats {
    /// Begins to measure a request that met the route with this path pattern.
    #[allow(
        clippy::disallowed_methods,
        reason = "a hit takes microseconds, and the engine's clock counts milliseconds"
    )]
    pub(crate) fn begin(&self, pattern: Option<&str>, method: &Method) -> Measured<'_> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        let place = PATTERNS.iter().position(|known| Some(*known) == pattern);
        Measured {
            stats: self,
            route: &self.routes[place.unwrap_or(PATTERNS.len())],
            method: place_of(&METHODS, &method.as_str()),
            began: Instant::now(),
        }
    }

    /// Requests that are being answered.
    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Calls `each` with route, method, status and count of everything that was seen.
    pub(crate) fn for_each_count(&self, mut each: impl FnMut(&'static str, &'static str, u16, u64)) {
        for (pattern, route) in self.by_pattern() {
            for (method, statuses) in METHODS.iter().zip(&route.requests) {
                for (status, count) in STATUSES.iter().zip(statuses) {
                    let count = count.load(Ordering::Relaxed);
                    if count > 0 {
                        each(pattern, method, *status, count);
                    }
                }
            }
        }
    }

    /// Calls `each` with the durations of every route that was met.
    pub(crate) fn for_each_duration(&self, mut each: impl FnMut(&'static str, &Durations)) {
        for (pattern, route) in self.by_pattern() {
            let durations = route.durations();
            if durations.count > 0 {
                each(pattern, &durations);
            }
        }
    }

    fn by_pattern(&self) -> impl Iterator<Item = (&'static str, &RouteStats)> {
        PATTERNS.iter().copied().chain([UNMATCHED]).zip(&self.routes)
    }
}

/// A histogram as Prometheus wants it.
pub(crate) struct Durations {
    /// Upper bound in seconds, and how many requests took at most that long.
    pub(crate) up_to: Vec<(f64, u64)>,
    pub(crate) count: u64,
    pub(crate) total: Duration,
}

impl RouteStats {
    fn durations(&self) -> Durations {
        let mut count = 0;
        let mut up_to = Vec::with_capacity(BUCKETS_US.len());
        for (bound, bucket) in BUCKETS_US.iter().zip(&self.buckets) {
            count += bucket.load(Ordering::Relaxed);
            up_to.push((*bound as f64 / 1e6, count));
        }
        count += self.buckets[BUCKETS_US.len()].load(Ordering::Relaxed);
        let total = Duration::from_micros(self.total_us.load(Ordering::Relaxed));
        Durations { up_to, count, total }
    }
}

impl Measured<'_> {
    /// Counts the request as answered with `status`.
    pub(crate) fn end(self, status: StatusCode) {
        let us = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS_US.iter().position(|bound| us <= *bound);
        self.route.buckets[bucket.unwrap_or(BUCKETS_US.len())].fetch_add(1, Ordering::Relaxed);
        self.route.total_us.fetch_add(us, Ordering::Relaxed);
        let status = place_of(&STATUSES, &status.as_u16());
        self.route.requests[self.method][status].fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Measured<'_> {
    fn drop(&mut self) {
        self.stats.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The place of `wanted`, or the last one, which stands for all others.
fn place_of<T: PartialEq>(all: &[T], wanted: &T) -> usize {
    all.iter().position(|one| one == wanted).unwrap_or(all.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::RequestStats;
    use axum::http::{Method, StatusCode};
    use std::time::Duration;

    fn counts(stats: &RequestStats) -> Vec<(&'static str, &'static str, u16, u64)> {
        let mut counts = Vec::new();
        stats.for_each_count(|route, method, status, count| counts.push((route, method, status, count)));
        counts
    }

    #[test]
    fn requests_are_counted_by_route_method_and_status() {
        let stats = RequestStats::default();
        stats.begin(Some("/v1"), &Method::GET).end(StatusCode::OK);
        stats.begin(Some("/v1"), &Method::GET).end(StatusCode::OK);
        stats.begin(None, &Method::TRACE).end(StatusCode::IM_A_TEAPOT);
        assert_eq!(counts(&stats), [("/v1", "GET", 200, 2), ("none", "other", 0, 1)]);
    }

    #[test]
    fn a_request_whose_client_left_is_no_longer_in_flight() {
        let stats = RequestStats::default();
        let measured = stats.begin(Some("/v1"), &Method::GET);
        assert_eq!(stats.in_flight(), 1);
        drop(measured);
        assert_eq!((stats.in_flight(), counts(&stats).len()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn durations_are_cumulative() {
        let stats = RequestStats::default();
        stats.begin(Some("/v1"), &Method::GET).end(StatusCode::OK);
        let slow = stats.begin(Some("/v1"), &Method::GET);
        tokio::time::advance(Duration::from_secs(6)).await;
        slow.end(StatusCode::OK);
        let mut seen = Vec::new();
        stats.for_each_duration(|route, durations| {
            let (first, last) = (durations.up_to[0].1, durations.up_to.last().unwrap().1);
            seen.push((route, first, last, durations.count, durations.total));
        });
        assert_eq!(seen, [("/v1", 1, 1, 2, Duration::from_secs(6))]);
    }
}
