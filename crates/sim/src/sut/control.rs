// SPDX-License-Identifier: MIT OR Apache-2.0
//! Systems whose verdict is known: the database alone, and the two usual ways of writing a cache by hand.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::pair::{Pair, PairOptions};
use super::{Answer, Client, Process, System, seen_as};
use crate::history::{Outcome, Seen, ServedFrom};

/// A system whose verdict is known beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// The database alone, which keeps the strict promise. A checker that convicts it is wrong.
    NoCache,
    /// A read fills by `add`, a write sets the cache after its commit. Two writers' sets cross, and the older
    /// value stays: 1. A commits 1. 2. B commits 2. 3. B sets 2. 4. A sets 1.
    NaiveAdd,
    /// Cache-aside as most tutorials have it: a read fills by `set`, a write deletes after its commit. A slow
    /// reader brings the old value back: 1. R misses and reads 1. 2. W commits 2. 3. W deletes. 4. R sets 1.
    NaiveDelete,
}

impl Control {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::NoCache, Self::NaiveAdd, Self::NaiveDelete];

    /// How a read fills; nothing without a cache.
    const fn fill_verb(self) -> Option<&'static str> {
        match self {
            Self::NoCache => None,
            Self::NaiveAdd => Some("add"),
            Self::NaiveDelete => Some("set"),
        }
    }
}

/// A control over its two servers.
#[derive(Debug)]
pub struct ControlSystem {
    control: Control,
    options: PairOptions,
}

impl ControlSystem {
    /// The control over these servers.
    pub fn new(control: Control, options: PairOptions) -> Self {
        Self { control, options }
    }
}

impl System for ControlSystem {
    fn name(&self) -> String {
        let name = match self.control {
            Control::NoCache => "control: database alone",
            Control::NaiveAdd => "control: add, set after commit",
            Control::NaiveDelete => "control: delete after commit",
        };
        name.to_owned()
    }

    fn is_strict(&self) -> bool {
        self.control == Control::NoCache
    }

    fn doors(&self) -> Vec<Box<dyn Client>> {
        let door = |instance| -> Box<dyn Client> {
            let (name, pair) = (format!("task {instance}"), Pair::new(self.options.clone()));
            Box::new(Task { name, control: self.control, pair })
        };
        (0..self.options.instance_count).map(door).collect()
    }

    fn processes(&self) -> Vec<Arc<dyn Process>> {
        Vec::new()
    }

    fn links(&self) -> Vec<super::Links> {
        Vec::new()
    }
}

#[derive(Debug)]
struct Task {
    name: String,
    control: Control,
    pair: Pair,
}

impl Task {
    async fn read(&mut self, key: i64) -> Option<Answer> {
        let verb = self.control.fill_verb();
        if verb.is_some()
            && let Some(body) = self.pair.cached(key).await
        {
            return Some(Answer { seen: seen_as(key, &body), served: ServedFrom::L2 });
        }
        let body = self.pair.load(key).await.ok()?;
        if let (Some(verb), Some(body)) = (verb, &body) {
            self.pair.pause_sometimes().await;
            self.pair.store(verb, key, body).await;
        }
        let seen = body.map_or(Seen::Absent, |body| seen_as(key, &body));
        Some(Answer { seen, served: ServedFrom::Source })
    }

    async fn write(&mut self, key: i64, body: Option<&str>) -> Outcome {
        let outcome = self.pair.write(key, body).await;
        if outcome == Outcome::Ok && self.control != Control::NoCache {
            self.pair.pause_sometimes().await;
            match (self.control, body) {
                (Control::NaiveAdd, Some(body)) => self.pair.store("set", key, body).await,
                _ => self.pair.forget(key).await,
            }
        }
        outcome
    }
}

impl Client for Task {
    fn name(&self) -> &str {
        &self.name
    }

    fn get(&mut self, key: i64) -> BoxFuture<'_, Option<Answer>> {
        Box::pin(self.read(key))
    }

    fn put<'a>(&'a mut self, key: i64, body: &'a str) -> BoxFuture<'a, Outcome> {
        Box::pin(self.write(key, Some(body)))
    }

    fn delete(&mut self, key: i64) -> BoxFuture<'_, Outcome> {
        Box::pin(self.write(key, None))
    }
}
