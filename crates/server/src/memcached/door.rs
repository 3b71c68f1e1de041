// SPDX-License-Identifier: MIT OR Apache-2.0
//! What all connections share.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};
use throughline::{Clock as _, MonotonicClock, Throughline};
use throughline_wire::memcached::Limits;
use tokio_util::sync::CancellationToken;

use super::MemcachedDoor;
use super::counters::Counters;
use crate::listener::{ConnectionCounts, Listener};

/// The memcached door, as its connections see it.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) throughline: Throughline,
    pub(super) config: MemcachedDoor,
    /// The same limits in the parser's words.
    pub(super) limits: Limits,
    pub(super) counters: Counters,
    pub(super) connections: Arc<ConnectionCounts>,
    pub(super) address: SocketAddr,
    /// Calls off the flush that was asked for with a delay; a later one replaces it.
    pub(super) flush_later: Mutex<CancellationToken>,
    started_ms: u64,
}

impl Door {
    pub(super) fn new(throughline: Throughline, config: MemcachedDoor, listener: &Listener) -> Self {
        let limits = Limits { value_len_max: config.value_bytes_max, ..Limits::default() };
        Self {
            throughline,
            config,
            limits,
            counters: Counters::default(),
            connections: listener.counts().clone(),
            address: listener.address(),
            flush_later: Mutex::default(),
            started_ms: MonotonicClock.now().as_ms(),
        }
    }

    /// Seconds since the door was opened.
    pub(super) fn uptime_s(&self) -> u64 {
        MonotonicClock.now().as_ms().saturating_sub(self.started_ms) / 1_000
    }

    /// Seconds since 1970, for the expiry dates of the protocol.
    pub(super) fn unix_s(&self) -> i64 {
        clock_gettime(ClockId::Realtime).tv_sec
    }
}
