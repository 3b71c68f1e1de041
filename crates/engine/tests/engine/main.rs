// SPDX-License-Identifier: MIT OR Apache-2.0
//! The strategies, over a real cache and a source that can be stopped at every step.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in what its tests share")]

mod bed;
mod behind;
mod bulk;
mod feeds;
mod fence;
mod fleet;
mod groups;
mod model;
mod owed;
mod reads;
mod switch;
mod transactions;
mod writes;
