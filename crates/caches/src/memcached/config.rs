// SPDX-License-Identifier: MIT OR Apache-2.0
//! What to set on a memcached cache.

/// Where a memcached is and how long to wait for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemcachedConfig {
    /// Host and port, `127.0.0.1:11211`. Directly to the server: behind a proxy a restart would go unnoticed.
    pub address: String,
    /// Connections, each shared by all tasks; all calls for one key use the same. Default: 2.
    pub connections: usize,
    /// Requests under way per connection, beyond which calls fail with `Overloaded`. Default: 4,096.
    pub in_flight_max: usize,
    /// How long a look-up may take. Default: 20 ms.
    pub get_timeout_ms: u64,
    /// How long a mark, an invalidation or a store may take. Default: 100 ms.
    pub mark_timeout_ms: u64,
    /// How long connecting, and the server's answers about itself, may take. Default: 1,000 ms.
    pub connect_timeout_ms: u64,
}

impl MemcachedConfig {
    /// The defaults for the server at `address` (host and port).
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            connections: 2,
            in_flight_max: 4_096,
            get_timeout_ms: 20,
            mark_timeout_ms: 100,
            connect_timeout_ms: 1_000,
        }
    }
}
