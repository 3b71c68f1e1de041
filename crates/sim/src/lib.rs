// SPDX-License-Identifier: MIT OR Apache-2.0
//! The history checker and the chaos runs against real servers.
//!
//! A run has three parts that know nothing of each other: workers write down what they asked and what they
//! were answered ([`history`]), the database's own triggers write down in which order writes took effect, and
//! the checker compares the two afterwards ([`checker`]). Nothing of the system under test is trusted.

#![allow(
    clippy::disallowed_methods,
    reason = "real servers run in real time; what is random follows from the printed seed"
)]

pub mod chaos;
pub mod checker;
pub mod database;
pub mod faults;
pub mod histogram;
pub mod history;
pub mod kills;
pub mod model;
pub mod payload;
pub mod power;
pub mod report;
pub mod scenario;
pub mod sut;
mod truth_table;
mod workload;

pub use workload::{Epoch, Workload};
