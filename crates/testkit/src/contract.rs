// SPDX-License-Identifier: MIT OR Apache-2.0
//! What every implementation of a core trait promises, as tests that each of them lists itself into.

pub mod cache;
pub mod control;
pub mod drain;
pub mod source;
pub mod transactions;
