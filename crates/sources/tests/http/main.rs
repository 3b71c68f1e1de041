// SPDX-License-Identifier: MIT OR Apache-2.0
//! A service over HTTP as a source: against a bank that works, that fails, and against servers that do neither.

#![allow(clippy::unwrap_used, reason = "a step that fails is a test that fails, in helpers too")]
#![allow(
    clippy::disallowed_methods,
    reason = "the servers of these tests run beside them, outside of any daemon"
)]

mod contract;
mod drain;
mod fixture;
mod hostile;
mod reads;
mod storm;
mod tls;
mod writes;
