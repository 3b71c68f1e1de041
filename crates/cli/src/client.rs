// SPDX-License-Identifier: MIT OR Apache-2.0
//! How the commands talk to a running daemon.

use std::time::Duration;

use miette::miette;
use serde_json::Value;
use ureq::http::{Method, Request};

use crate::args::ServerArgs;

const TIMEOUT: Duration = Duration::from_secs(30);
const BODY_BYTES_MAX: u64 = 64 << 20;

/// A running daemon.
#[derive(Debug)]
pub(crate) struct Client {
    agent: ureq::Agent,
    server: String,
    token: Option<String>,
}

/// What a daemon answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) cache_status: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) fn new(args: &ServerArgs) -> Self {
        let config = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).http_status_as_error(false);
        let server = args.server.trim_end_matches('/').to_owned();
        Self { agent: config.build().into(), server, token: args.token.clone() }
    }

    /// Sends a request; `path` begins with `/` and is escaped.
    pub(crate) fn send(&self, method: Method, path: &str, body: Option<&[u8]>) -> miette::Result<Answer> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.server));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let request = request.body(body.unwrap_or_default().to_vec());
        let request = request.map_err(|_| {
            miette!(help = "write http://127.0.0.1:8311", "`{}` is no server's url", self.server)
        })?;
        let mut response = self.agent.run(request).map_err(|error| {
            miette!(
                help = "start it with `throughline serve`, or name it with --server or THROUGHLINE_SERVER",
                "no daemon answers at {}: {error}",
                self.server
            )
        })?;
        let cache_status =
            response.headers().get("cache-status").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = response.body_mut().with_config().limit(BODY_BYTES_MAX).read_to_vec();
        let body = body.map_err(|error| miette!("the daemon's answer broke off: {error}"))?;
        Ok(Answer { status: response.status().as_u16(), cache_status, body })
    }
}

impl Answer {
    /// The answer itself, or the daemon's problem as an error.
    pub(crate) fn success(self) -> miette::Result<Self> {
        if self.status < 400 {
            return Ok(self);
        }
        let problem: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let text = |field: &str| problem.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        Err(match (text("title"), text("detail")) {
            (title, _) if title.is_empty() => miette!("the daemon answered with status {}", self.status),
            (title, detail) if detail.is_empty() => miette!("{title} ({})", self.status),
            (title, detail) => miette!("{title} ({}): {detail}", self.status),
        })
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> miette::Result<Value> {
        serde_json::from_slice(&self.body)
            .map_err(|_| miette!("the daemon's answer is not JSON; is something else listening there?"))
    }
}
