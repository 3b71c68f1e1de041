// SPDX-License-Identifier: MIT OR Apache-2.0
//! The PostgreSQL source against a real server. One server for all tests, a database for each.

#![allow(clippy::unwrap_used, reason = "a step that fails is a test that fails, in helpers too")]

mod columns;
mod connect;
mod control;
mod coupling;
mod faults;
mod fixture;
mod outbox;
mod reads;
mod writes;
