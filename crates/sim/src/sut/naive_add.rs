// SPDX-License-Identifier: MIT OR Apache-2.0
//! Control: a read fills by `add`, a write sets the cache after its commit.
//!
//! Two writers' sets cross, and the older value stays:
//! 1. A commits 1. 2. B commits 2. 3. B sets 2. 4. A sets 1.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::pair::{Pair, PairOptions, read_then_fill};
use super::{Answer, Client, Process, System};
use crate::history::Outcome;

/// The system of hand-written read-through and write-through.
#[derive(Debug)]
pub struct NaiveAdd(PairOptions);

impl NaiveAdd {
    /// The control over these servers.
    pub fn new(options: PairOptions) -> Self {
        Self(options)
    }
}

impl System for NaiveAdd {
    fn name(&self) -> String {
        "control: add, set after commit".to_owned()
    }

    fn is_strict(&self) -> bool {
        false
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
        read_then_fill(&mut self.pair, "add", key)
    }

    fn put<'a>(&'a mut self, key: i64, body: &'a str) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let outcome = self.pair.upsert(key, body).await;
            if outcome == Outcome::Ok {
                self.pair.pause_sometimes().await;
                self.pair.fill("set", key, body).await;
            }
            outcome
        })
    }

    fn delete(&mut self, key: i64) -> BoxFuture<'_, Outcome> {
        Box::pin(async move {
            let outcome = self.pair.remove(key).await;
            if outcome == Outcome::Ok {
                self.pair.pause_sometimes().await;
                self.pair.forget(key).await;
            }
            outcome
        })
    }
}
