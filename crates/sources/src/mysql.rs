// SPDX-License-Identifier: MIT OR Apache-2.0
//! MySQL and MariaDB.

mod client;
mod config;
mod flavour;
mod map;
mod queue;
mod worker;

pub use config::{MysqlConfig, Password};
