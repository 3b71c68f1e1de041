// SPDX-License-Identifier: MIT OR Apache-2.0
//! Talks to a service: a bounded number of connections, one request at a time on each, every wait within one deadline.
//!
//! A connection belongs to the request that uses it and is driven by it, so a request that is dropped half-way closes
//! its connection, and nothing runs in the background. One that ends well is kept for a while. Redirects are not
//! followed and no proxy of the environment is used: what is sent goes where the configuration says.

mod connection;
mod dial;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Request, StatusCode};
use parking_lot::Mutex;
use throughline_core::{Clock, ErrorKind, Result, Sent, Tick};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use self::connection::Connection;
use self::dial::Dial;
use super::config::HttpConfig;
use super::stats::{Counters, HttpStats};

/// How long a connection may wait for the next request. A service that closes it at that moment leaves the next
/// request without an answer: a read is tried again, of a write the outcome would be unknown.
const READ_IDLE_MS_MAX: u64 = 20_000;
const WRITE_IDLE_MS_MAX: u64 = 2_000;

/// A request.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) method: Method,
    /// Path and query.
    pub(super) path: String,
    /// Headers of this request alone.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Bytes,
}

/// What the service answered. The status counts, even if the rest of the answer did not come.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: std::result::Result<Bytes, Failure>,
}

/// Why there is no answer, or not all of it.
#[derive(Debug)]
pub(super) struct Failure {
    /// Whether the service may have seen the request.
    pub(super) was_sent: bool,
    pub(super) kind: ErrorKind,
    pub(super) why: String,
}

impl Failure {
    fn unsent(kind: ErrorKind, why: impl Into<String>) -> Self {
        Self { was_sent: false, kind, why: why.into() }
    }

    fn sent(kind: ErrorKind, why: impl Into<String>) -> Self {
        Self { was_sent: true, ..Self::unsent(kind, why) }
    }
}

/// Which connections a request uses: a burst of writes must not keep reads from the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Read,
    Write,
}

#[derive(Debug)]
pub(super) struct Client {
    config: HttpConfig,
    dial: Dial,
    place: String,
    readers: Pool,
    writers: Pool,
    clock: Arc<dyn Clock>,
    counters: Counters,
}

#[derive(Debug)]
struct Pool {
    permits: Semaphore,
    idle: Mutex<Vec<(Connection, Tick)>>,
    idle_ms_max: u64,
}

impl Pool {
    fn new(count: usize, idle_ms_max: u64) -> Self {
        Self { permits: Semaphore::new(count.max(1)), idle: Mutex::default(), idle_ms_max }
    }

    /// A connection that waits and is still good; the youngest, so that those which are not needed grow old.
    fn take(&self, now: Tick) -> Option<Connection> {
        let mut idle = self.idle.lock();
        idle.retain(|(_, since)| now.ms_since(*since) < self.idle_ms_max);
        while let Some((mut connection, _)) = idle.pop() {
            if connection.is_ready() {
                return Some(connection);
            }
        }
        None
    }
}

impl Client {
    pub(super) fn new(config: HttpConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        let dial = Dial::new(&config)?;
        let host = if config.host.contains(':') { format!("[{}]", config.host) } else { config.host.clone() };
        let default_port = if config.encrypted { 443 } else { 80 };
        let place = if config.port == default_port { host } else { format!("{host}:{}", config.port) };
        let readers = Pool::new(config.reader_count, READ_IDLE_MS_MAX);
        let writers = Pool::new(config.writer_count, WRITE_IDLE_MS_MAX);
        Ok(Self { config, dial, place, readers, writers, clock, counters: Counters::default() })
    }

    pub(super) fn config(&self) -> &HttpConfig {
        &self.config
    }

    /// Host and port, for people and for the `Host` header.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    pub(super) fn stats(&self) -> HttpStats {
        self.counters.read()
    }

    /// Opens a connection and closes it.
    pub(super) async fn probe(&self) -> std::result::Result<(), Failure> {
        self.open(self.deadline()).await.map(drop)
    }

    /// Sends a request and reads its answer. `sent` is tripped before the first byte leaves.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection; the service may have seen the request.
    pub(super) async fn ask(
        &self,
        side: Side,
        question: &Question,
        sent: Option<&Sent>,
    ) -> std::result::Result<Answer, Failure> {
        let answer = self.ask_counted(side, question, sent).await;
        let is_failed = match &answer {
            Ok(answer) => answer.status.is_server_error() || answer.status == StatusCode::TOO_MANY_REQUESTS,
            Err(_) => true,
        };
        if is_failed {
            Counters::add(&self.counters.failed_requests);
        }
        answer
    }

    async fn ask_counted(
        &self,
        side: Side,
        question: &Question,
        sent: Option<&Sent>,
    ) -> std::result::Result<Answer, Failure> {
        let deadline = self.deadline();
        let (pool, counter) = match side {
            Side::Read => (&self.readers, &self.counters.read_requests),
            Side::Write => (&self.writers, &self.counters.write_requests),
        };
        let permit = timeout_at(deadline, pool.permits.acquire()).await;
        let permit = permit
            .map_err(|_| Failure::unsent(ErrorKind::Overloaded, "no connection became free in time"))?;
        let _permit = permit.expect("the permits are never closed");
        let mut kept = pool.take(self.clock.now());
        loop {
            let is_kept = kept.is_some();
            let mut connection = match kept.take() {
                Some(connection) => connection,
                None => self.open(deadline).await?,
            };
            if let Some(sent) = sent {
                sent.trip();
            }
            Counters::add(counter);
            let exchanged =
                connection.exchange(self.request(question), deadline, self.config.body_bytes_max).await;
            match exchanged {
                // It was closed while it waited, and the request never left.
                Err(failure) if is_kept && !failure.was_sent => {}
                Err(failure) => return Err(failure),
                Ok(answer) => {
                    if answer.body.is_ok() {
                        pool.idle.lock().push((connection, self.clock.now()));
                    }
                    return Ok(answer);
                }
            }
        }
    }

    async fn open(&self, deadline: Instant) -> std::result::Result<Connection, Failure> {
        let opening = timeout_at(deadline, self.dial.connect(&self.config)).await;
        let opened = opening.map_err(|_| Failure::unsent(ErrorKind::Timeout, "no connection in time"))??;
        Counters::add(&self.counters.connections_opened);
        Ok(opened)
    }

    fn request(&self, question: &Question) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(question.body.clone()));
        *request.method_mut() = question.method.clone();
        *request.uri_mut() =
            question.path.parse().expect("a path of the template and an encoded key is a path");
        let headers = request.headers_mut();
        let host = HeaderValue::from_str(&self.place).expect("the host was read from a URL");
        headers.insert(header::HOST, host);
        headers.insert(
            header::USER_AGENT,
            HeaderValue::from_static(concat!("throughline/", env!("CARGO_PKG_VERSION"))),
        );
        for (name, value) in question.headers.iter().chain(self.config.headers()) {
            headers.insert(name, value.clone());
        }
        request
    }

    fn deadline(&self) -> Instant {
        Instant::now() + Duration::from_millis(self.config.request_timeout_ms)
    }
}
