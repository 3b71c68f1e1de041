// SPDX-License-Identifier: MIT OR Apache-2.0
//! Loads and writes behind retry, breaker, limit and time-out, on paused time.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in what its tests share")]

mod cache;
mod loads;
mod stub;
mod writes;
