// SPDX-License-Identifier: MIT OR Apache-2.0
//! The memcached door.
//!
//! A key `person:42` whose text before the first `:` names a resource is that resource's record `42`; every
//! other key is an item of the plain space, and an error where there is none, never a silent miss. What the
//! commands mean for a record:
//!
//! | command | a record of a resource |
//! |---|---|
//! | get gets mg | read by the resource's strategy; a source that cannot be reached is `SERVER_ERROR`, never a miss |
//! | set add replace cas ms | upsert, insert if absent, update if present, compare-and-set; the exptime is the entry's life alone |
//! | delete md | the row is removed; with `access = "read"`, and for `md I`, the entry is invalidated |
//! | touch gat gats, `mg T` | the entry's life, never the row; a record without an entry is loaded first |
//! | incr decr append prepend ma | refused with the reason: the value is a row |
//! | flush_all | entries become unreachable where no other process shares them; the source keeps everything |
//!
//! An exptime of 0 is the resource's own ttl, a negative one invalidates. The cas number is the record's
//! version, so it survives restarts and is the same for every daemon; version 0 is shown as 1, because 0
//! means "no number" to clients. The flags `N` and `R` of `mg` hand out the right to fill a key; a resource
//! fills its keys itself, so there they are read and ignored.
//!
//! A response of several keys is sent whole or, if one key fails, as that error alone; from 1 MiB on it is
//! sent in pieces, and an error ends it instead of `END`.
//!
//! The plain space answers as memcached 1.6.18 does, with these exceptions: what would need a stale or
//! half-won item (`N`, `R` of `mg`, `I` of `ms` and `md`) is refused, `h` and `l` are always 0, and a value
//! that is too large leaves what the key held.

mod answer;
mod connection;
mod counter;
mod counters;
mod delete;
mod door;
mod execute;
mod exptime;
mod flush;
mod get;
mod input;
mod meta_counter;
mod meta_debug;
mod meta_delete;
mod meta_get;
mod meta_set;
mod output;
mod route;
mod session;
mod spare;
mod stats;
mod store;
mod touch;

use std::sync::Arc;
use std::time::Duration;

use throughline::Throughline;
use tokio::task::JoinSet;

use crate::listener::Listener;
use crate::shutdown::Shutdown;
use connection::Connection;
use door::Door;

/// What a connection beyond the allowed number is told, in memcached's words.
const TOO_MANY: &[u8] = b"ERROR Too many open connections\r\n";

/// The limits of the memcached door. How many connections there may be is the [`Listener`]'s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemcachedDoor {
    /// The longest value in bytes that is taken. Default: 1 MiB.
    pub value_bytes_max: usize,
    /// How long the rest of a half-sent command may take, and how long a peer may leave answers unread,
    /// before the connection is closed. Default: 60 s. A connection that sends nothing may stay for ever.
    pub stall_max: Duration,
}

impl Default for MemcachedDoor {
    fn default() -> Self {
        Self { value_bytes_max: 1024 * 1024, stall_max: Duration::from_secs(60) }
    }
}

/// Serves the memcached protocol on `listener` until `shutdown` begins and the connections have ended.
///
/// Returns whether every connection ended by itself, within the limit.
///
/// # Cancel safety
/// Dropping the future closes the listener and every connection at once.
pub async fn serve_memcached(
    listener: Listener,
    throughline: Throughline,
    config: MemcachedDoor,
    shutdown: Shutdown,
) -> bool {
    let door = Arc::new(Door::new(throughline, config, &listener));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = shutdown.begun() => break,
            accepted = listener.accept(TOO_MANY) => {
                let connection = Connection::new(&door, accepted, shutdown.signal());
                connections.spawn(connection.run());
            }
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended && error.is_panic() {
                    tracing::error!(%error, "a memcached connection ended by a bug");
                }
            }
        }
    }
    drop(listener);
    shutdown.finish(connections).await
}
