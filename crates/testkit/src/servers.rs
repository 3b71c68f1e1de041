// SPDX-License-Identifier: MIT OR Apache-2.0
//! Real servers for tests: memcached, MariaDB, PostgreSQL and Throughline's own daemon.
//!
//! Each one listens on a free port of 127.0.0.1, keeps its files in a [`Scratch`] folder, is killed when it is
//! dropped and cannot outlive the process that started it. Starting blocks the calling thread until the server
//! answers; a server that does not come up is a panic with the end of its log, because a missing server fails a
//! test and never skips it.

mod authority;
mod daemon;
mod launcher;
mod mariadb;
mod memcached;
mod port;
mod postgres;
mod process;
mod scratch;
mod start_error;

pub use authority::{Authority, Certificate};
pub use daemon::{Daemon, DaemonOptions, Listener, init_database};
pub use mariadb::{Mariadb, MariadbOptions};
pub use memcached::{Memcached, MemcachedOptions};
pub use port::free_port;
pub use postgres::{Postgres, PostgresOptions};
pub use scratch::Scratch;
pub use start_error::StartError;
