// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sources: SQLite, PostgreSQL, MySQL and MariaDB, services over HTTP.

#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod drain;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "mysql")]
pub mod mysql;
#[cfg(any(feature = "http", feature = "mysql", feature = "postgres"))]
mod password;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(any(feature = "mysql", feature = "postgres"))]
mod queue;
#[cfg(any(feature = "mysql", feature = "postgres"))]
mod remote;
pub mod sql;
#[cfg(feature = "sqlite")]
pub mod sqlite;
#[cfg(any(feature = "http", feature = "mysql", feature = "postgres"))]
mod tls;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod transaction;
#[cfg(any(feature = "http", feature = "mysql", feature = "postgres"))]
mod url;

#[cfg(any(feature = "http", feature = "mysql", feature = "postgres"))]
pub use password::Password;
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub use remote::{DatabaseControl, OutboxFeed};
#[cfg(any(feature = "http", feature = "mysql", feature = "postgres"))]
pub use tls::{Tls, TlsMode};
