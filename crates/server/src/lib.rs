// SPDX-License-Identifier: MIT OR Apache-2.0
//! The front doors: the memcached protocol and HTTP.

pub mod http;
mod listener;
pub mod memcached;
mod shutdown;

pub use listener::{Accepted, ConnectionCounts, Listener, Place};
pub use shutdown::{Shutdown, ShutdownSignal};
