// SPDX-License-Identifier: MIT OR Apache-2.0
//! The journal in a folder: on a disk whose power can be taken away, and on a real one.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod bed;
mod bounds;
mod crashes;
mod damage;
mod faults;
mod real;
