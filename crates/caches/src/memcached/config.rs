// SPDX-License-Identifier: MIT OR Apache-2.0
//! What to set on a memcached cache.

use std::fmt;

use throughline_core::NodeName;

use super::tls::MemcachedTls;
use crate::ring::Distribution;

/// Where memcached is and how long to wait for it.
#[derive(Clone, Debug)]
pub struct MemcachedConfig {
    /// The servers, at least one and at most 1,024, each under a name of its own. Their order does not matter.
    pub servers: Vec<MemcachedServer>,
    /// Which server keeps a key. Default: rendezvous hashing.
    pub distribution: Distribution,
    /// Connections per server, each shared by all tasks; all calls for one key use the same. Default: 1, because the
    /// more requests share a connection, the more of them share a system call on both sides; more of them help where
    /// large values keep small ones waiting.
    pub connections: usize,
    /// Requests under way per connection, beyond which calls fail with `Overloaded`. Default: 8,192.
    pub in_flight_max: usize,
    /// How long a look-up may take. Default: 20 ms.
    pub get_timeout_ms: u64,
    /// How long a mark, an invalidation or a store may take. Default: 100 ms.
    pub mark_timeout_ms: u64,
    /// How long connecting, and the server's answers about itself, may take. Default: 1,000 ms.
    pub connect_timeout_ms: u64,
    /// TLS to the servers. Default: none.
    pub tls: Option<MemcachedTls>,
    /// What to show to servers that want a user name and password (`-Y`). Default: nothing.
    pub credentials: Option<MemcachedCredentials>,
}

impl MemcachedConfig {
    /// The most servers of one cache.
    pub const SERVER_COUNT_MAX: usize = 1_024;

    /// The defaults for the one server at `address` (host and port).
    ///
    /// # Panics
    /// When the address is empty, has more than 128 characters or a blank, and so cannot be a name.
    pub fn new(address: impl Into<String>) -> Self {
        let address = address.into();
        let name = NodeName::new(&address).expect("an address is no longer than a name and has no blanks");
        Self::over(vec![MemcachedServer { name, address }])
    }

    /// The defaults for several servers.
    pub fn over(servers: Vec<MemcachedServer>) -> Self {
        Self {
            servers,
            distribution: Distribution::default(),
            connections: 1,
            in_flight_max: 8_192,
            get_timeout_ms: 20,
            mark_timeout_ms: 100,
            connect_timeout_ms: 1_000,
            tls: None,
            credentials: None,
        }
    }
}

/// A user name and a password. `Debug` does not show the password.
#[derive(Clone, PartialEq, Eq)]
pub struct MemcachedCredentials {
    username: String,
    password: String,
}

impl MemcachedCredentials {
    /// A user name and a password, together at most 1,000 bytes; `None` when one is empty or holds a blank or a line
    /// end, which memcached takes for its end.
    pub fn new(username: &str, password: &str) -> Option<Self> {
        let is_sound =
            |text: &str| !text.is_empty() && !text.contains(|char: char| char == ' ' || char.is_control());
        let fits = username.len() + password.len() <= 1_000;
        (fits && is_sound(username) && is_sound(password))
            .then(|| Self { username: username.to_owned(), password: password.to_owned() })
    }

    pub(super) fn username(&self) -> &str {
        &self.username
    }

    pub(super) fn password(&self) -> &str {
        &self.password
    }
}

impl fmt::Debug for MemcachedCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemcachedCredentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemcachedServer {
    /// Its name, the same in every daemon: it decides which keys the server keeps.
    pub name: NodeName,
    /// Host and port, `127.0.0.1:11211`. Directly to the server: behind a proxy a restart would go unnoticed.
    pub address: String,
}

impl fmt::Display for MemcachedServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.as_str() == self.address {
            f.write_str(&self.address)
        } else {
            write!(f, "{} ({})", self.name, self.address)
        }
    }
}
