// SPDX-License-Identifier: MIT OR Apache-2.0
//! The system under test, as the workers and the fault injector see it.

mod control;
mod daemon_http;
mod daemon_memcached;
mod daemons;
mod pair;
mod process;
pub mod text_client;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use throughline_testkit::Proxy;

use crate::history::{Outcome, Seen, ServedFrom};
use crate::payload::Payload;

pub use control::{Control, ControlSystem};
pub(crate) use daemons::server_name;
pub use daemons::{DaemonPlan, Daemons};
pub use pair::PairOptions;
pub use process::Process;

/// A system under test: some instances over one cache and one database.
pub trait System: Send + Sync {
    /// Its name in the report.
    fn name(&self) -> String;
    /// Whether it promises the level strict. Who does not is a control, which the checker must convict.
    fn is_strict(&self) -> bool;
    /// One new handle for every way into every instance.
    fn doors(&self) -> Vec<Box<dyn Client>>;
    /// The processes of its instances, for the fault injector; none when they live in this process.
    fn processes(&self) -> Vec<Arc<dyn Process>>;
    /// The ways between each instance and its servers, for the fault injector; none when they are not broken.
    fn links(&self) -> Vec<Links>;
}

/// The ways of one instance, and a door of its own.
#[derive(Debug)]
pub struct Links {
    /// To each cache server.
    pub caches: Vec<Arc<Proxy>>,
    /// To the database.
    pub database: Arc<Proxy>,
    /// Another handle to this instance.
    pub door: Box<dyn Client>,
}

/// A caller's handle with at most one call under way.
///
/// A call may be dropped at any point; the next one then uses a new connection, so that it cannot get the
/// answer to the one before.
pub trait Client: std::fmt::Debug + Send + Sync {
    /// The door's name.
    fn name(&self) -> &str;
    /// Reads the key; `None` when there was no answer or an error.
    fn get(&mut self, key: i64) -> BoxFuture<'_, Option<Answer>>;
    /// Replaces the key's row.
    fn put<'a>(&'a mut self, key: i64, body: &'a str) -> BoxFuture<'a, Outcome>;
    /// Removes the key's row; that there was none is a success.
    fn delete(&mut self, key: i64) -> BoxFuture<'_, Outcome>;
}

/// The answer to a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What it shows.
    pub seen: Seen,
    /// Who gave it.
    pub served: ServedFrom,
}

/// What `body` shows to somebody who asked for `key`.
pub(crate) fn seen_as(key: i64, body: &str) -> Seen {
    match Payload::decode(body) {
        Some(payload) if payload.key == key => Seen::Value { op: payload.op, counter: payload.counter },
        _ => Seen::Garbled,
    }
}

/// What a row of the resource `kv`, as JSON, shows to somebody who asked for `key`.
fn row_seen_as(key: i64, json: &[u8]) -> Seen {
    let Ok(row) = serde_json::from_slice::<serde_json::Value>(json) else {
        return Seen::Garbled;
    };
    match (row["id"].as_i64(), row["body"].as_str()) {
        (Some(id), Some(body)) if id == key => seen_as(key, body),
        _ => Seen::Garbled,
    }
}

/// The row of the resource `kv` as JSON.
fn row(key: i64, body: &str) -> String {
    serde_json::json!({ "id": key, "body": body }).to_string()
}

#[cfg(test)]
mod tests {
    use super::{row, row_seen_as};
    use crate::history::Seen;
    use crate::payload::Payload;

    #[test]
    fn a_row_of_another_key_or_another_shape_is_garbled() {
        let body = Payload { key: 7, worker: 1, op: 5, counter: 2 }.encode();
        assert_eq!(row_seen_as(7, row(7, &body).as_bytes()), Seen::Value { op: 5, counter: 2 });
        assert_eq!(row_seen_as(8, row(7, &body).as_bytes()), Seen::Garbled);
        assert_eq!(row_seen_as(8, row(8, &body).as_bytes()), Seen::Garbled);
        assert_eq!(row_seen_as(7, b"{\"id\":7}"), Seen::Garbled);
        assert_eq!(row_seen_as(7, b"not json"), Seen::Garbled);
    }
}
