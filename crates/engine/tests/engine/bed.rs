// SPDX-License-Identifier: MIT OR Apache-2.0
//! A resource over a map and a cache in memory that can be cut off.

use std::sync::Arc;

use throughline_caches::{MemoryCache, MemoryConfig};
use throughline_core::{
    Access, Cache, Change, Condition, Effect, Feed, Fingerprint, Key, Level, LocalCache, ResourceName,
    Result, Rng, Scope, Target, Tasks, Write,
};
use throughline_engine::{Generations, Invalidation, InvalidationStats, Policy, Space, SpaceParts};
use throughline_resilience::Rate;
use throughline_testkit::{FlakyCache, MapSource, TestTasks, TokioClock};

/// A resource and what it stands on.
pub(crate) struct Bed {
    pub(crate) space: Arc<Space>,
    pub(crate) source: MapSource,
    pub(crate) cache: Arc<FlakyCache>,
    memory: Arc<MemoryCache>,
    clock: Arc<TokioClock>,
}

pub(crate) fn strict() -> Policy {
    Policy { level: Level::Strict, access: Access::Write, ..Policy::default() }
}

pub(crate) fn bounded() -> Policy {
    Policy { level: Level::Bounded, ..strict() }
}

impl Bed {
    /// A resource whose cache presents itself as shared, as memcached does.
    pub(crate) fn new(policy: Policy) -> Self {
        Self::with_scope(policy, Scope::Shared)
    }

    pub(crate) fn with_scope(policy: Policy, scope: Scope) -> Self {
        let clock = Arc::new(TokioClock::start());
        let memory = Arc::new(MemoryCache::new(&MemoryConfig::default(), clock.clone()));
        let cache = FlakyCache::new(memory.clone(), scope);
        let source = MapSource::with_rows([("1", "one"), ("2", "two"), ("3", "three")]);
        let space = Space::new(parts("person", &source, &cache, &memory, &clock, policy, scope));
        Self { space, source, cache, memory, clock }
    }

    /// Another resource over the same rows and the same cache servers, as another daemon or name has it.
    pub(crate) fn another(&self, name: &str, policy: Policy) -> Arc<Space> {
        Space::new(parts(
            name,
            &self.source,
            &self.cache,
            &self.memory,
            &self.clock,
            policy,
            self.cache.scope(),
        ))
    }

    /// The same resource with other background work.
    pub(crate) fn another_with_tasks(&self, tasks: Arc<dyn Tasks>) -> Arc<Space> {
        let scope = self.cache.scope();
        let mut parts =
            parts("person", &self.source, &self.cache, &self.memory, &self.clock, strict(), scope);
        parts.tasks = tasks;
        Space::new(parts)
    }

    /// The same resource after a crash: of this bed only rows and entries are left, and the way to the cache is free.
    pub(crate) fn restarted(&self, policy: Policy) -> Arc<Space> {
        let cache = FlakyCache::new(self.memory.clone(), self.cache.scope());
        let scope = self.cache.scope();
        Space::new(parts("person", &self.source, &cache, &self.memory, &self.clock, policy, scope))
    }

    /// The same resource as a daemon has it that knows another schema.
    pub(crate) fn another_schema(&self, name: &str, policy: Policy) -> Arc<Space> {
        let mut parts =
            parts(name, &self.source, &self.cache, &self.memory, &self.clock, policy, self.cache.scope());
        parts.fingerprint = Fingerprint::of(b"another");
        Space::new(parts)
    }

    /// Another resource over the same rows, without a cache.
    pub(crate) fn another_without_cache(&self, name: &str, policy: Policy) -> Arc<Space> {
        let mut parts =
            parts(name, &self.source, &self.cache, &self.memory, &self.clock, policy, self.cache.scope());
        (parts.cache, parts.local) = (None, None);
        Space::new(parts)
    }

    /// The same resource with a budget for loads past the cache.
    pub(crate) fn another_with_bypass_rate(&self, name: &str, per_second: u64) -> Arc<Space> {
        let mut parts =
            parts(name, &self.source, &self.cache, &self.memory, &self.clock, strict(), self.cache.scope());
        parts.bypass_rate = Some(Arc::new(Rate::new(per_second, self.clock.clone())));
        Space::new(parts)
    }

    /// Starts feeding `spaces` with the news of the table `t` from `feed`.
    pub(crate) fn feed(&self, feed: Arc<dyn Feed>, spaces: Vec<Arc<Space>>) -> Arc<InvalidationStats> {
        let tables = [("t".into(), spaces)].into();
        let invalidation = Invalidation::new(feed, tables, self.clock.clone());
        let stats = invalidation.stats();
        TestTasks.spawn("invalidate by a feed", Box::pin(invalidation.run()));
        stats
    }

    pub(crate) async fn get(&self, text: &str) -> Option<String> {
        value(&self.space, text).await
    }

    pub(crate) async fn put(&self, text: &str, value: &str) -> Result<Effect> {
        self.space.write(put(text, value, Condition::Always)).await
    }
}

fn parts(
    name: &str,
    source: &MapSource,
    cache: &Arc<FlakyCache>,
    memory: &Arc<MemoryCache>,
    clock: &Arc<TokioClock>,
    policy: Policy,
    scope: Scope,
) -> SpaceParts {
    let local = (scope == Scope::Process).then(|| memory.clone() as Arc<dyn LocalCache>);
    let generations = match scope {
        Scope::Process => Generations::Own(1),
        Scope::Shared => Generations::Shared(0),
    };
    SpaceParts {
        name: ResourceName::new(name).unwrap(),
        loader: Arc::new(source.clone()),
        writer: Some(Arc::new(source.clone())),
        cache: Some(cache.clone()),
        local,
        nodes: None,
        fingerprint: Fingerprint::of(name.as_bytes()),
        generations,
        policy,
        clock: clock.clone(),
        rng: Arc::new(Rng::from_seed(1)),
        tasks: Arc::new(TestTasks),
        bypass_rate: None,
    }
}

pub(crate) fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

pub(crate) async fn value(space: &Arc<Space>, text: &str) -> Option<String> {
    let read = space.get(&key(text)).await.unwrap();
    read.record().map(|record| String::from_utf8(record.value.to_vec()).unwrap())
}

pub(crate) fn put(text: &str, value: &str, condition: Condition) -> Write {
    let change = Change::Put { value: value.to_owned().into(), flags: 0 };
    Write { target: Target::Key(key(text)), change, condition }
}

pub(crate) fn delete(text: &str) -> Write {
    Write { target: Target::Key(key(text)), change: Change::Delete, condition: Condition::Always }
}
