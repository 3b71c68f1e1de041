// SPDX-License-Identifier: MIT OR Apache-2.0
//! A daemon's HTTP door.

use std::net::SocketAddr;

use futures_util::future::BoxFuture;
use reqwest::header::CONTENT_TYPE;
use reqwest::{RequestBuilder, Response, StatusCode};
use throughline_core::{Error, ErrorKind, Result};

use super::{Answer, Client, row, row_seen_as};
use crate::history::{Outcome, Seen, ServedFrom};

/// One caller of `/v1/kv/{key}`.
#[derive(Debug)]
pub(super) struct HttpDoor {
    name: String,
    base: String,
    client: reqwest::Client,
}

impl HttpDoor {
    pub(super) fn new(name: String, address: SocketAddr) -> Result<Self> {
        // One connection per caller; and no hidden second try, which would blur what an error means.
        let builder = reqwest::Client::builder().pool_max_idle_per_host(1).retry(reqwest::retry::never());
        let client = builder.no_proxy().build().map_err(|error| {
            Error::new(ErrorKind::Configuration, "make an HTTP client", "reqwest").with_cause(error)
        })?;
        Ok(Self { name, base: format!("http://{address}/v1/kv"), client })
    }

    fn url(&self, key: i64) -> String {
        format!("{}/{key}", self.base)
    }
}

impl Client for HttpDoor {
    fn name(&self) -> &str {
        &self.name
    }

    fn get(&mut self, key: i64) -> BoxFuture<'_, Option<Answer>> {
        Box::pin(async move {
            let response = self.client.get(self.url(key)).send().await.ok()?;
            let status = response.headers().get("cache-status").and_then(|value| value.to_str().ok());
            let served = status.map_or(ServedFrom::Unsaid, served_from);
            match response.status() {
                StatusCode::OK => {
                    let seen = row_seen_as(key, &response.bytes().await.ok()?);
                    Some(Answer { seen, served })
                }
                StatusCode::NOT_FOUND => Some(Answer { seen: Seen::Absent, served }),
                _ => None,
            }
        })
    }

    fn put<'a>(&'a mut self, key: i64, body: &'a str) -> BoxFuture<'a, Outcome> {
        let request = self.client.put(self.url(key)).header(CONTENT_TYPE, "application/json");
        Box::pin(write(request.body(row(key, body)), false))
    }

    fn delete(&mut self, key: i64) -> BoxFuture<'_, Outcome> {
        Box::pin(write(self.client.delete(self.url(key)), true))
    }
}

async fn write(request: RequestBuilder, absence_is_success: bool) -> Outcome {
    match request.send().await {
        Err(error) if error.is_connect() => Outcome::Fail,
        Err(_) => Outcome::Unknown,
        Ok(response) if response.status().is_success() => Outcome::Ok,
        Ok(response) if response.status() == StatusCode::NOT_FOUND && absence_is_success => Outcome::Ok,
        Ok(response) if response.status().is_client_error() => Outcome::Fail,
        Ok(response) => refusal(response).await,
    }
}

/// A server error is a refusal when the problem document says that the write may be made again because
/// nothing was done; otherwise nobody knows.
async fn refusal(response: Response) -> Outcome {
    let problem = response.json::<serde_json::Value>().await.unwrap_or_default();
    if problem["retry"] == "safe" { Outcome::Fail } else { Outcome::Unknown }
}

/// Reads the first member of `Cache-Status` (RFC 9211); a hit whose time is over is stale.
fn served_from(status: &str) -> ServedFrom {
    let first = status.split(',').next().unwrap_or_default();
    let parameters = || first.split(';').skip(1).map(str::trim);
    let stale = parameters().any(|parameter| parameter.starts_with("ttl=-"));
    if parameters().any(|parameter| parameter == "hit") {
        if stale { ServedFrom::Stale } else { ServedFrom::L2 }
    } else if parameters().any(|parameter| parameter.starts_with("fwd=")) {
        ServedFrom::Source
    } else {
        ServedFrom::Unsaid
    }
}

#[cfg(test)]
mod tests {
    use super::served_from;
    use crate::history::ServedFrom;

    #[test]
    fn cache_status_says_who_answered() {
        assert_eq!(served_from("throughline; hit; ttl=120"), ServedFrom::L2);
        assert_eq!(served_from("throughline;hit;ttl=-3"), ServedFrom::Stale);
        assert_eq!(served_from("throughline; fwd=miss; stored"), ServedFrom::Source);
        assert_eq!(served_from("throughline; fwd=bypass"), ServedFrom::Source);
        assert_eq!(served_from("somebody"), ServedFrom::Unsaid);
    }
}
