// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where a door listens: binding, and an accept loop that neither fails nor lets in too many.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use throughline::{Error, ErrorKind, Result};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// The longest that accepting rests after an error such as "too many open files".
const PAUSE_MAX: Duration = Duration::from_secs(1);
const PAUSE_MIN: Duration = Duration::from_millis(5);

/// A bound socket that lets in a limited number of connections at a time.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    counts: Arc<ConnectionCounts>,
}

/// A connection that was let in, with its place among the allowed number.
#[derive(Debug)]
pub struct Accepted {
    /// The connection, with `TCP_NODELAY` set.
    pub stream: TcpStream,
    /// Whence it comes.
    pub peer: SocketAddr,
    /// Keep it as long as the connection lives.
    pub place: Place,
}

impl Listener {
    /// How many connections a door lets in at a time when nothing else is said.
    pub const CONNECTIONS_MAX: u64 = 16_384;

    /// Binds `address`; port 0 takes a free one, see [`Listener::address`].
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] when the address is taken, forbidden, or not this machine's.
    pub async fn bind(address: SocketAddr, connections_max: u64) -> Result<Self> {
        let refused = |error: io::Error| {
            let detail = format!("{address}: {}", error.kind());
            Error::new(ErrorKind::Configuration, "listen", detail).with_cause(error)
        };
        let socket = TcpListener::bind(address).await.map_err(refused)?;
        Ok(Self {
            address: socket.local_addr().map_err(refused)?,
            socket,
            counts: Arc::new(ConnectionCounts::new(connections_max)),
        })
    }

    /// The address that was bound, with the port that was chosen.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections there are and were.
    pub fn counts(&self) -> &Arc<ConnectionCounts> {
        &self.counts
    }

    /// Waits for the next connection. Those beyond the allowed number are sent `refusal` and closed.
    ///
    /// # Cancel safety
    /// Dropping the future loses no connection.
    pub async fn accept(&self, refusal: &[u8]) -> Accepted {
        let mut pause = PAUSE_MIN;
        loop {
            match self.socket.accept().await {
                Ok((stream, peer)) => {
                    pause = PAUSE_MIN;
                    // Answers are written whole, so nothing is gained by waiting for more to send. It can
                    // only fail for a connection that is already gone, and then the first read says so.
                    let _ = stream.set_nodelay(true);
                    match ConnectionCounts::enter(&self.counts) {
                        Some(place) => {
                            return Accepted { stream, peer, place };
                        }
                        None => refuse(&stream, refusal).await,
                    }
                }
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    self.counts.errors.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(address = %self.address, %error, "cannot accept a connection; trying again");
                    // Usually the process has no file descriptor left: the end of a connection frees one.
                    let _ = tokio::time::timeout(pause, self.counts.freed.notified()).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }
}

/// Says why a connection is closed; to a peer that takes no bytes at once, nothing is said.
async fn refuse(stream: &TcpStream, refusal: &[u8]) {
    if tokio::time::timeout(PAUSE_MIN, stream.writable()).await.is_ok() {
        let _ = stream.try_write(refusal);
    }
}

/// Such a connection was gone before it was let in; the next one may be sound.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// How many connections a door has and had.
#[derive(Debug)]
pub struct ConnectionCounts {
    open: AtomicU64,
    accepted: AtomicU64,
    refused: AtomicU64,
    errors: AtomicU64,
    max: u64,
    freed: Notify,
}

impl ConnectionCounts {
    fn new(max: u64) -> Self {
        Self {
            open: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            max,
            freed: Notify::new(),
        }
    }

    /// Those that are open.
    pub fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    /// Those that were ever let in.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Those that were turned away because there were too many.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// How often accepting had to rest because of an error, such as too many open files.
    pub fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// How many may be open at a time.
    pub fn max(&self) -> u64 {
        self.max
    }

    fn enter(counts: &Arc<Self>) -> Option<Place> {
        // Only the accept loop adds, so between the look and the sum the number can only fall.
        if counts.open() >= counts.max {
            counts.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        counts.open.fetch_add(1, Ordering::Relaxed);
        counts.accepted.fetch_add(1, Ordering::Relaxed);
        Some(Place { counts: counts.clone() })
    }
}

/// A place among the allowed number of connections, free again when dropped.
#[derive(Debug)]
pub struct Place {
    counts: Arc<ConnectionCounts>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.counts.open.fetch_sub(1, Ordering::Relaxed);
        self.counts.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::Listener;
    use std::net::{Ipv4Addr, SocketAddr};
    use throughline::ErrorKind;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpStream;

    const FREE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    #[tokio::test]
    async fn port_zero_becomes_a_free_port() {
        let listener = Listener::bind(FREE, 1).await.unwrap();
        assert_ne!(listener.address().port(), 0);
    }

    #[tokio::test]
    async fn a_taken_address_is_refused_with_its_name() {
        let listener = Listener::bind(FREE, 1).await.unwrap();
        let error = Listener::bind(listener.address(), 1).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.detail().contains(&listener.address().to_string()), "{error}");
    }

    #[tokio::test]
    async fn one_too_many_is_told_so_and_a_freed_place_is_given_again() {
        let listener = Listener::bind(FREE, 1).await.unwrap();
        let _first_peer = TcpStream::connect(listener.address()).await.unwrap();
        let first = listener.accept(b"full").await;
        assert_eq!(first.peer, _first_peer.local_addr().unwrap());

        let mut second = TcpStream::connect(listener.address()).await.unwrap();
        let mut told = Vec::new();
        tokio::select! {
            _ = listener.accept(b"full") => panic!("there was no place"),
            read = second.read_to_end(&mut told) => drop(read.unwrap()),
        }
        assert_eq!(told, b"full");
        assert_eq!((listener.counts().open(), listener.counts().refused()), (1, 1));

        drop(first);
        let _third_peer = TcpStream::connect(listener.address()).await.unwrap();
        let _third = listener.accept(b"full").await;
        assert_eq!((listener.counts().open(), listener.counts().accepted()), (1, 2));
    }
}
