// SPDX-License-Identifier: MIT OR Apache-2.0
//! memcached and a database side by side, as a program without Throughline uses them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use throughline_core::{Result, Rng};

use super::text_client::TextClient;
use crate::database::Session;
use crate::history::Outcome;

/// A cache that does not answer in this time is treated as if it had nothing.
const CACHE_TIMEOUT: Duration = Duration::from_millis(500);
/// Until when a value may stay, as in most hand-written code; longer than a run's checks need.
const TTL_S: u32 = 300;

/// How a control reaches its two servers.
#[derive(Clone, Debug)]
pub struct PairOptions {
    /// The memcached.
    pub cache: SocketAddr,
    /// The URL of the database that holds the table `kv`.
    pub database_url: String,
    /// How many instances the control pretends to have.
    pub instance_count: usize,
    /// How often, in percent, a task pauses for up to 10 ms between its two steps, as a garbage collection or
    /// a busy machine would make it. Without it the races need a longer run to show.
    pub pause_percent: u64,
    /// Chance for the pauses.
    pub rng: Arc<Rng>,
}

/// One task's connections to both.
#[derive(Debug)]
pub(super) struct Pair {
    options: PairOptions,
    cache: TextClient,
    database: Option<Session>,
}

impl Pair {
    pub(super) fn new(options: PairOptions) -> Self {
        Self { cache: TextClient::new(options.cache), database: None, options }
    }

    /// What the cache has. An error counts as a miss, because the database can answer.
    pub(super) async fn cached(&mut self, key: i64) -> Option<String> {
        let value = cache_call(self.cache.get(&cache_key(key))).await.ok().flatten()?;
        Some(String::from_utf8_lossy(&value.bytes).into_owned())
    }

    /// Stores into the cache by `set` or `add`; whether it worked is not looked at, as usual.
    pub(super) async fn store(&mut self, verb: &str, key: i64, body: &str) {
        let _ = cache_call(self.cache.store(verb, &cache_key(key), body.as_bytes(), TTL_S)).await;
    }

    pub(super) async fn forget(&mut self, key: i64) {
        let _ = cache_call(self.cache.delete(&cache_key(key))).await;
    }

    pub(super) async fn load(&mut self, key: i64) -> Result<Option<String>> {
        let mut database = self.connected().await?;
        let body = database.body(key).await?;
        self.database = Some(database);
        Ok(body)
    }

    /// Stores the row, or removes it.
    pub(super) async fn write(&mut self, key: i64, body: Option<&str>) -> Outcome {
        let Ok(mut database) = self.connected().await else {
            return Outcome::Fail;
        };
        let written = match body {
            Some(body) => database.upsert(key, body).await,
            None => database.remove(key).await,
        };
        if written.is_err() {
            return Outcome::Unknown;
        }
        self.database = Some(database);
        Outcome::Ok
    }

    pub(super) async fn pause_sometimes(&self) {
        if self.options.rng.below(100) < self.options.pause_percent {
            tokio::time::sleep(Duration::from_micros(self.options.rng.below(10_000))).await;
        }
    }

    /// Takes the connection out: it comes back only after a whole answer, so that a dropped call cannot shift
    /// later answers.
    async fn connected(&mut self) -> Result<Session> {
        match self.database.take() {
            Some(database) => Ok(database),
            None => Session::connect(&self.options.database_url).await,
        }
    }
}

async fn cache_call<T>(call: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(CACHE_TIMEOUT, call).await?
}

fn cache_key(key: i64) -> String {
    format!("control:{key}")
}
