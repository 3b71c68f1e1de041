// SPDX-License-Identifier: MIT OR Apache-2.0
//! A daemon's memcached door.

use std::io;
use std::net::SocketAddr;

use futures_util::future::BoxFuture;

use super::text_client::TextClient;
use super::{Answer, Client, row, row_seen_as};
use crate::history::{Outcome, Seen, ServedFrom};

/// One caller of `get kv:7` and `set kv:7`.
#[derive(Debug)]
pub(super) struct MemcachedDoor {
    name: String,
    client: TextClient,
}

impl MemcachedDoor {
    pub(super) fn new(name: String, address: SocketAddr) -> Self {
        Self { name, client: TextClient::new(address) }
    }
}

impl Client for MemcachedDoor {
    fn name(&self) -> &str {
        &self.name
    }

    fn get(&mut self, key: i64) -> BoxFuture<'_, Option<Answer>> {
        Box::pin(async move {
            let value = self.client.get(&format!("kv:{key}")).await.ok()?;
            let seen = value.map_or(Seen::Absent, |value| row_seen_as(key, &value.bytes));
            Some(Answer { seen, served: ServedFrom::Unsaid })
        })
    }

    fn put<'a>(&'a mut self, key: i64, body: &'a str) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            if self.client.connect().await.is_err() {
                return Outcome::Fail;
            }
            outcome(self.client.store("set", &format!("kv:{key}"), row(key, body).as_bytes(), 0).await)
        })
    }

    fn delete(&mut self, key: i64) -> BoxFuture<'_, Outcome> {
        Box::pin(async move {
            if self.client.connect().await.is_err() {
                return Outcome::Fail;
            }
            outcome(self.client.delete(&format!("kv:{key}")).await)
        })
    }
}

/// What the answer to a write means. A server error counts as unknown unless it names a kind after which
/// nothing is written.
fn outcome(answer: io::Result<String>) -> Outcome {
    let Ok(line) = answer else { return Outcome::Unknown };
    match line.as_str() {
        "STORED" | "DELETED" | "NOT_FOUND" => Outcome::Ok,
        "ERROR" | "NOT_STORED" => Outcome::Fail,
        _ if line.starts_with("CLIENT_ERROR") || line.contains("mark not confirmed") => Outcome::Fail,
        _ => Outcome::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::outcome;
    use crate::history::Outcome;

    #[test]
    fn only_an_answer_that_promises_it_means_nothing_was_written() {
        let answer = |line: &str| outcome(Ok(line.to_owned()));
        assert_eq!(answer("STORED"), Outcome::Ok);
        assert_eq!(answer("CLIENT_ERROR bad data chunk"), Outcome::Fail);
        assert_eq!(answer("SERVER_ERROR cannot mark a key: mark not confirmed: cache `main`"), Outcome::Fail);
        assert_eq!(answer("SERVER_ERROR cannot commit: timed out: source `shop`"), Outcome::Unknown);
        assert_eq!(outcome(Err(std::io::ErrorKind::ConnectionReset.into())), Outcome::Unknown);
    }
}
