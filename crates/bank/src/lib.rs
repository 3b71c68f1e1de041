// SPDX-License-Identifier: MIT OR Apache-2.0
//! A slow bank on old machines: the service of the payment story, as a real little HTTP server.
//!
//! It knows nothing of Throughline. Records are documents at paths of two or more segments; a path of one segment lists
//! its collection, which is how one looks into the bank's own database. It gives strong entity tags, decides `If-Match`
//! and `If-None-Match: *`, and remembers idempotency keys. It can be told to take its time, to decline for a while with
//! 503 and `Retry-After`, and to hang up before or after it has saved.

#![allow(
    clippy::disallowed_methods,
    reason = "it stands for somebody else's server, whose time and tasks are its own"
)]

mod bank;
mod idempotency;
mod ledger;
mod service;

pub use bank::{Bank, BankOptions, Told};
pub use ledger::HangUp;
pub use service::BankCounts;
