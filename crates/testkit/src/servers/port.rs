// SPDX-License-Identifier: MIT OR Apache-2.0
//! Free ports of 127.0.0.1.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// Below Linux's range for outgoing connections (32768 and up): a port of ours that is free for a moment, while
/// its server is killed and restarted, is not given away to somebody's connection.
const FIRST: u32 = 20_000;
const COUNT: u32 = 12_000;
/// How often a server whose port somebody else took is started again on another.
pub(crate) const PORT_RETRY_COUNT_MAX: u32 = 5;

/// A port of 127.0.0.1 on which nobody listens now.
///
/// Between this look and the server's own `bind` another process may take it, so whoever starts a server tries
/// again with another port when that happens.
///
/// # Panics
/// When none of the 12,000 ports is free.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Test processes run side by side; each begins its search elsewhere.
    let start = std::process::id().wrapping_mul(97);
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + start.wrapping_add(step) % COUNT;
        let port = u16::try_from(port).expect("the range ends below 65,536");
        if TcpListener::bind(address(port)).is_ok() {
            return port;
        }
    }
    panic!("no free port on 127.0.0.1 between {FIRST} and {}", FIRST + COUNT);
}

pub(crate) fn address(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::{COUNT, address, free_port};

    #[test]
    fn a_port_in_use_is_not_given() {
        let port = free_port();
        let _listener = TcpListener::bind(address(port)).unwrap();
        for _ in 0..COUNT {
            assert_ne!(free_port(), port);
        }
    }
}
