// SPDX-License-Identifier: MIT OR Apache-2.0
//! The history checker and the chaos runs against real servers.
//!
//! A run has three parts that know nothing of each other: workers write down what they asked and what they
//! were answered ([`history`]), the database's own triggers write down in which order writes took effect, and
//! the checker compares the two afterwards ([`checker`]). Nothing of the system under test is trusted.

pub mod checker;
pub mod histogram;
pub mod history;
pub mod payload;
