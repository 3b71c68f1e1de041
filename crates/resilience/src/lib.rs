// SPDX-License-Identifier: MIT OR Apache-2.0
//! Protection of sources: single-flight. Knows the words of core, never a backend.

mod single_flight;

pub use single_flight::{Flown, SingleFlight};
