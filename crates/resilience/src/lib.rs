// SPDX-License-Identifier: MIT OR Apache-2.0
//! Protection of sources: single-flight, retry, breaker, limit, timeout, rate. Knows the words of core, never
//! a backend.
//!
//! A load meets them in this order, which `throughline/assemble/guard.rs` fixes: single-flight → retry →
//! breaker → limit → timeout → source. A write meets breaker → limit → timeout: it is never tried again.

mod breaker;
mod limit;
mod rate;
mod retry;
mod single_flight;
mod timeout;

pub use breaker::{Breaker, BreakerConfig, BreakerOpen, BreakerState, BreakerStats, break_look_ups};
pub use limit::{Limit, LimitConfig, LimitStats};
pub use rate::Rate;
pub use retry::{Retries, RetryStats};
pub use single_flight::{Flown, SingleFlight};
pub use timeout::Timeouts;
