// SPDX-License-Identifier: MIT OR Apache-2.0
//! The PostgreSQL source against a real server. One server for all tests, a database for each.

#![allow(clippy::unwrap_used, reason = "a step that fails is a test that fails, in helpers too")]

mod columns;
mod connect;
mod control;
mod coupling;
mod faults;
mod outbox;
mod reads;
mod server;
mod writes;

use servers::fixture;

/// What every database server is held to, with the same steps: compiled here against `server`.
#[path = "../servers"]
mod servers {
    pub(crate) mod connect;
    mod drain;
    pub(crate) mod faults;
    pub(crate) mod fixture;
    pub(crate) mod outbox;
    mod reads;
    mod writes;
}
