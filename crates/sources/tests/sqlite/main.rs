// SPDX-License-Identifier: MIT OR Apache-2.0
//! The SQLite source against real files, one for each test.

mod cells;
mod faults;
mod fixture;
mod others;
mod outbox;
mod tables;
