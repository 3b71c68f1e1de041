// SPDX-License-Identifier: MIT OR Apache-2.0
//! Control: cache-aside as most tutorials have it. A read fills by `set`, a write deletes after its commit.
//!
//! A slow reader brings the old value back:
//! 1. R misses and reads 1. 2. W commits 2. 3. W deletes. 4. R sets 1.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::pair::{Pair, PairOptions, read_then_fill};
use super::{Answer, Client, Process, System};
use crate::history::Outcome;

/// The system of hand-written cache-aside.
#[derive(Debug)]
pub struct NaiveDelete(PairOptions);

impl NaiveDelete {
    /// The control over these servers.
    pub fn new(options: PairOptions) -> Self {
        Self(options)
    }
}

impl System for NaiveDelete {
    fn name(&self) -> String {
        "control: delete after commit".to_owned()
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

impl Task {
    async fn forget_after(&mut self, key: i64, outcome: Outcome) -> Outcome {
        if outcome == Outcome::Ok {
            self.pair.pause_sometimes().await;
            self.pair.forget(key).await;
        }
        outcome
    }
}

impl Client for Task {
    fn name(&self) -> &str {
        &self.name
    }

    fn get(&mut self, key: i64) -> BoxFuture<'_, Option<Answer>> {
        read_then_fill(&mut self.pair, "set", key)
    }

    fn put<'a>(&'a mut self, key: i64, body: &'a str) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let outcome = self.pair.upsert(key, body).await;
            self.forget_after(key, outcome).await
        })
    }

    fn delete(&mut self, key: i64) -> BoxFuture<'_, Outcome> {
        Box::pin(async move {
            let outcome = self.pair.remove(key).await;
            self.forget_after(key, outcome).await
        })
    }
}
