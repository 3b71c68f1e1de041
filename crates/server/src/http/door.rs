// SPDX-License-Identifier: MIT OR Apache-2.0
//! The HTTP door: its settings, and what every request shares.

use std::sync::Arc;

use bytes::Bytes;
use throughline::Throughline;
use throughline::config::Secret;

use super::openapi;
use super::readiness::Readiness;
use super::request_stats::RequestStats;
use super::token::Token;
use crate::listener::ConnectionCounts;

/// What to set on the HTTP door. The number of connections is the listener's to limit, the time to finish
/// what is in flight that of [`crate::Shutdown`].
#[derive(Clone, Debug)]
pub struct HttpDoor {
    /// The bearer token that everything but `/healthz` needs. Default: none, and then only requests to an
    /// address or `localhost` are answered, and none from pages of other sites.
    pub token: Option<Secret>,
    /// The largest body of a request, in bytes. Default: 1 MiB.
    pub body_bytes_max: usize,
    /// The most bytes of records in one answer to `_get`; what is beyond is answered as too large.
    /// Default: 16 MiB.
    pub answer_bytes_max: usize,
    /// The longest time to wait for a request's head, also between two requests, in milliseconds.
    /// Default: 30,000.
    pub head_ms_max: u64,
    /// The longest time to wait for a request's body, in milliseconds. Default: 30,000.
    pub body_ms_max: u64,
    /// The longest time for which a client may take no byte of its answer, in milliseconds. Default: 30,000.
    pub answer_ms_max: u64,
    /// Reasons for which `/readyz` says no.
    pub readiness: Readiness,
}

impl Default for HttpDoor {
    fn default() -> Self {
        Self {
            token: None,
            body_bytes_max: 1024 * 1024,
            answer_bytes_max: 16 * 1024 * 1024,
            head_ms_max: 30_000,
            body_ms_max: 30_000,
            answer_ms_max: 30_000,
            readiness: Readiness::default(),
        }
    }
}

/// What every request shares.
pub(crate) type Shared = Arc<DoorState>;

/// What every request shares.
#[derive(Debug)]
pub(crate) struct DoorState {
    pub(crate) throughline: Throughline,
    pub(crate) token: Option<Token>,
    pub(crate) body_bytes_max: usize,
    pub(crate) body_ms_max: u64,
    pub(crate) answer_bytes_max: usize,
    pub(crate) readiness: Readiness,
    pub(crate) stats: RequestStats,
    /// The listener's counts, if there is a listener.
    pub(crate) connections: Option<Arc<ConnectionCounts>>,
    /// The document at `/openapi.json`: resources do not change while a door is open.
    pub(crate) openapi: Bytes,
}

impl DoorState {
    pub(crate) fn new(
        throughline: Throughline,
        door: &HttpDoor,
        connections: Option<Arc<ConnectionCounts>>,
    ) -> Shared {
        let document = openapi::document(throughline.listings(), door.token.is_some());
        Arc::new(Self {
            openapi: document.to_string().into(),
            throughline,
            token: door.token.as_ref().map(Token::new),
            body_bytes_max: door.body_bytes_max,
            body_ms_max: door.body_ms_max,
            answer_bytes_max: door.answer_bytes_max,
            readiness: door.readiness.clone(),
            stats: RequestStats::default(),
            connections,
        })
    }
}
