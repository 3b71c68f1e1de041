// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the fault injector may do to a process. Every call blocks until it is done.

use throughline_testkit::{Daemon, Mariadb, Memcached, Postgres};

/// A process that may be killed, paused and started again at the same address.
pub trait Process: std::fmt::Debug + Send + Sync {
    /// Kills it (SIGKILL) and returns when it is gone.
    fn kill(&self);
    /// Starts it again; kills it before when it runs.
    ///
    /// # Panics
    /// When it does not come up, with the end of its log.
    fn restart(&self);
    /// Stops it where it stands (SIGSTOP).
    fn pause(&self);
    /// Lets it go on (SIGCONT).
    fn resume(&self);
}

macro_rules! process {
    ($server:ty) => {
        impl Process for $server {
            fn kill(&self) {
                self.kill();
            }
            fn restart(&self) {
                self.restart();
            }
            fn pause(&self) {
                self.pause();
            }
            fn resume(&self) {
                self.resume();
            }
        }
    };
}

process!(Daemon);
process!(Mariadb);
process!(Memcached);
process!(Postgres);
