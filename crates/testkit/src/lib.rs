// SPDX-License-Identifier: MIT OR Apache-2.0
//! Contract suites, fakes, and real servers started in scratch folders on free ports.

#![allow(
    clippy::disallowed_methods,
    reason = "real servers need real time: their start is awaited on the wall clock, outside any paused runtime"
)]

pub mod contract;

mod clock;
mod fakes;
mod proxy;
mod servers;

pub use clock::ManualClock;
pub use fakes::{
    Disk, DiskOp, FakeNodes, FlakyCache, MapControl, MapControlDoor, MapJournal, MapSource, RoutedCache,
    TestTasks, TokioClock,
};
pub use proxy::{Proxy, Way};
pub use servers::{
    Authority, Certificate, Daemon, DaemonOptions, Listener, Mariadb, MariadbOptions, Memcached,
    MemcachedOptions, Postgres, PostgresOptions, Scratch, StartError, free_port, init_database,
};
