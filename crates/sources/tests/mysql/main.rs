// SPDX-License-Identifier: MIT OR Apache-2.0
//! The MySQL source against a real MariaDB. One server for all tests, a database for each.

mod connect;
mod faults;
mod fixture;
mod reads;
mod types;
mod writes;
