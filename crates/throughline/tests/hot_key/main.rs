// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many writers of one key, over real servers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in what its tests share")]

mod counter;
mod mariadb;
mod postgres;
mod sqlite;
