// SPDX-License-Identifier: MIT OR Apache-2.0
//! The other control: the database alone, which keeps the strict promise. A checker that convicts it is wrong.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::pair::{Pair, PairOptions};
use super::{Answer, Client, Process, System, seen_as};
use crate::history::{Outcome, Seen, ServedFrom};

/// Every read and write goes to the database.
#[derive(Debug)]
pub struct NoCache(PairOptions);

impl NoCache {
    /// The control over these servers.
    pub fn new(options: PairOptions) -> Self {
        Self(options)
    }
}

impl System for NoCache {
    fn name(&self) -> String {
        "control: database alone".to_owned()
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn doors(&self) -> Vec<Box<dyn Client>> {
        let door = |instance| -> Box<dyn Client> {
            Box::new(Task { name: format!("task {instance}"), pair: Pair::new(self.0.clone()) })
        };
        (0..self.0.instance_count).map(door).collect()
    }

    fn processes(&self) -> Vec<Arc<dyn Process>> {
        Vec::new()
    }
}

struct Task {
    name: String,
    pair: Pair,
}

impl Client for Task {
    fn name(&self) -> &str {
        &self.name
    }

    fn get(&mut self, key: i64) -> BoxFuture<'_, Option<Answer>> {
        Box::pin(async move {
            let body = self.pair.load(key).await.ok()?;
            let seen = body.map_or(Seen::Absent, |body| seen_as(key, &body));
            Some(Answer { seen, served: ServedFrom::Source })
        })
    }

    fn put<'a>(&'a mut self, key: i64, body: &'a str) -> BoxFuture<'a, Outcome> {
        Box::pin(self.pair.upsert(key, body))
    }

    fn delete(&mut self, key: i64) -> BoxFuture<'_, Outcome> {
        Box::pin(self.pair.remove(key))
    }
}
