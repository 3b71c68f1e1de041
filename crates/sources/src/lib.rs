// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sources: SQLite, MySQL and MariaDB.

#[cfg(feature = "mysql")]
pub mod mysql;
pub mod sql;
#[cfg(feature = "sqlite")]
pub mod sqlite;
