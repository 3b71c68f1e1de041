// SPDX-License-Identifier: MIT OR Apache-2.0
//! The examples, run as their readers run them, over a real MariaDB, a real memcached and a real bank.

#![allow(clippy::disallowed_methods, reason = "real servers and programs are awaited on the wall clock")]

mod cable;
mod payment;
mod person;
mod product;
mod program;
mod stranger;
mod transfer;
