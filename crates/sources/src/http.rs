// SPDX-License-Identifier: MIT OR Apache-2.0
//! A service over HTTP as a source: records are what GET answers at a URL of the key, writes are requests.
//!
//! HTTP has no locks and no transactions, so a resource is never strict, a write is one request for one record, and
//! what that request did is not known when its answer does not come. What HTTP does have is used where the service
//! has it: entity tags as versions, conditions that the service decides, idempotency keys, `Retry-After`.
//!
//! `config` says how to reach it, `path` where a record is, `client` talks, `map` reads refusals; `loader`, `writer`
//! and `drain` are the three sides of [`HttpResource`].

mod body;
mod client;
mod complaint;
mod config;
mod deliver;
mod drain;
mod loader;
mod map;
mod path;
mod stats;
mod writer;

use std::sync::Arc;

use throughline_core::{Clock, Error, ErrorKind, Fingerprint, Key, Result, Tasks};

pub use self::body::HttpFormat;
use self::client::Client;
pub use self::config::{HttpConfig, HttpHeaders, PutMethod};
pub use self::path::PathTemplate;
pub use self::stats::HttpStats;
pub use crate::Password;

/// A service. A clone is another handle.
#[derive(Clone, Debug)]
pub struct HttpSource(Arc<Client>);

/// What one resource is at the service.
#[derive(Clone, Debug)]
pub struct HttpMapping {
    /// Where a record is.
    pub path: PathTemplate,
    /// What a value is.
    pub format: HttpFormat,
    /// How a record is put.
    pub put: PutMethod,
}

impl HttpMapping {
    /// Records of JSON at `path`, put by PUT.
    pub fn json(path: PathTemplate) -> Self {
        Self { path, format: HttpFormat::Json, put: PutMethod::Put }
    }
}

/// One resource of a service: its reads, its writes, and accepted writes brought to it later.
#[derive(Debug)]
pub struct HttpResource {
    client: Arc<Client>,
    mapping: HttpMapping,
    tasks: Arc<dyn Tasks>,
}

impl HttpSource {
    /// The service that `config` names. Sends nothing: a service that is down now may be up when it is needed.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] for a `ca_file` that holds no certificate, or a host that TLS cannot name.
    pub fn open(config: HttpConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        Ok(Self(Arc::new(Client::new(config, clock)?)))
    }

    /// Opens a connection, TLS included, and sends nothing on it.
    ///
    /// # Errors
    /// Why it cannot be reached now.
    pub async fn probe(&self) -> Result<()> {
        let failure = match self.0.probe().await {
            Ok(()) => return Ok(()),
            Err(failure) => failure,
        };
        Err(map::of_load("connect to a service", self.0.place(), &failure))
    }

    /// One resource of it. `tasks` runs the commits, which go on when their caller leaves.
    pub fn resource(&self, mapping: HttpMapping, tasks: Arc<dyn Tasks>) -> Arc<HttpResource> {
        let client = Arc::clone(&self.0);
        Arc::new(HttpResource { client, mapping, tasks })
    }

    /// What it costs in promises, in sentences for people.
    pub fn notes(&self) -> Vec<String> {
        self.0.config().note().into_iter().collect()
    }

    /// What was counted so far.
    pub fn stats(&self) -> HttpStats {
        self.0.stats()
    }
}

impl HttpResource {
    /// What the bytes of a record mean: the service, the path, the format.
    pub fn fingerprint(&self) -> Fingerprint {
        let HttpMapping { path, format, .. } = &self.mapping;
        let place = self.client.place();
        Fingerprint::of(
            format!("http/1/{place}{}{path}/{format:?}", self.client.config().base_path).as_bytes(),
        )
    }

    /// Where `key` is.
    fn path_of(&self, key: &Key) -> Result<String> {
        let path = self.mapping.path.render(key)?;
        Ok(format!("{}{path}", self.client.config().base_path))
    }

    /// The error of a value or answer that is larger than is taken.
    fn too_large(&self, operation: &'static str, what: &str) -> Error {
        let detail = format!(
            "{what} at `{}` is larger than {} bytes",
            self.mapping.path,
            self.client.config().body_bytes_max
        );
        Error::new(ErrorKind::TooLarge, operation, detail)
    }
}
