// SPDX-License-Identifier: MIT OR Apache-2.0
//! A resource that is written behind, and what outlives its daemon.

use std::sync::Arc;
use std::time::Duration;

use throughline_caches::{MemoryCache, MemoryConfig};
use throughline_core::{
    Change, Condition, Effect, Fingerprint, Owner, Position, ResourceName, Result, Rng, Scope, Write,
    WriteStrategy,
};
use throughline_engine::{Behind, BehindParts, BehindPolicy, Generations, Policy, Space, SpaceParts};
use throughline_testkit::{FlakyCache, MapJournal, MapSource, TestTasks, TokioClock};

use crate::bed::{key, put, strict, value};

/// What outlives a daemon.
#[derive(Clone)]
pub(crate) struct House {
    pub(crate) source: MapSource,
    pub(crate) journal: MapJournal,
    pub(crate) letters: MapJournal,
    memory: Arc<MemoryCache>,
    clock: Arc<TokioClock>,
}

/// One daemon.
pub(crate) struct Daemon {
    pub(crate) space: Arc<Space>,
    pub(crate) behind: Arc<Behind>,
    pub(crate) cache: Arc<FlakyCache>,
}

impl House {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(TokioClock::start());
        Self {
            source: MapSource::with_rows([("1", "one"), ("2", "two")]),
            journal: MapJournal::default(),
            letters: MapJournal::default(),
            memory: Arc::new(MemoryCache::new(&MemoryConfig::default(), clock.clone())),
            clock,
        }
    }

    pub(crate) async fn open(&self, journal: &str, policy: BehindPolicy) -> Result<Daemon> {
        let resource = ResourceName::new("person").unwrap();
        let rng = Arc::new(Rng::from_seed(7));
        let parts = BehindParts {
            resource: resource.clone(),
            loader: Arc::new(self.source.clone()),
            drain: Arc::new(self.source.clone()),
            owner: Owner { journal: journal.to_owned(), name: format!("the daemon of {journal}") },
            journal: Arc::new(self.journal.clone()),
            letters: Arc::new(self.letters.clone()),
            policy,
            clock: self.clock.clone(),
            wall: self.clock.clone(),
            rng: rng.clone(),
            tasks: Arc::new(TestTasks),
        };
        let (pending, letters) = (self.journal.pending(), self.letters.pending());
        let recovered = Behind::open(parts, &pending, &letters, self.journal.next()).await?;
        let behind = recovered.behind;
        let cache = FlakyCache::new(self.memory.clone(), Scope::Shared);
        let space = Space::new(SpaceParts {
            name: resource,
            loader: behind.loader(),
            writer: Some(behind.writer()),
            cache: Some(cache.clone()),
            local: None,
            nodes: None,
            fingerprint: Fingerprint::of(b"person"),
            generations: Generations::Shared(0),
            policy: Policy { write: WriteStrategy::WriteBehind, ..strict() },
            bypass_rate: None,
            clock: self.clock.clone(),
            rng,
            tasks: Arc::new(TestTasks),
        });
        behind.attach(&space);
        behind.start();
        Ok(Daemon { space, behind, cache })
    }

    pub(crate) async fn daemon(&self) -> Daemon {
        self.open("a", by_hand()).await.unwrap()
    }

    /// The same house with another journal.
    pub(crate) fn with_journal(&self, journal: MapJournal) -> Self {
        Self { journal, ..self.clone() }
    }

    /// The same house with another journal of dead letters.
    pub(crate) fn with_letters(&self, letters: MapJournal) -> Self {
        Self { letters, ..self.clone() }
    }

    pub(crate) fn applied_count(&self, text: &str) -> usize {
        self.source.applied().iter().filter(|(applied, _)| *applied == key(text)).count()
    }
}

/// Nothing is applied before it is asked for.
pub(crate) fn by_hand() -> BehindPolicy {
    BehindPolicy { delay_ms: None, ..BehindPolicy::default() }
}

impl Daemon {
    pub(crate) async fn put(&self, text: &str, value: &str) -> Position {
        accepted(&self.write(put(text, value, Condition::Always)).await.unwrap())
    }

    pub(crate) async fn write(&self, write: Write) -> Result<Effect> {
        self.space.write(write).await
    }

    pub(crate) async fn get(&self, text: &str) -> Option<String> {
        value(&self.space, text).await
    }

    /// What a read shows when the cache has lost the entry.
    pub(crate) async fn get_evicted(&self, text: &str) -> Option<String> {
        self.space.invalidate(&key(text)).await.unwrap();
        self.get(text).await
    }

    pub(crate) async fn drain(&self) {
        tokio::time::timeout(Duration::from_secs(600), self.behind.drain()).await.expect("in time").unwrap();
    }
}

pub(crate) fn accepted(effect: &Effect) -> Position {
    match effect {
        Effect::Accepted { receipt, .. } => receipt.position().expect("the commit has returned"),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn delete(text: &str) -> Write {
    Write { change: Change::Delete, ..put(text, "", Condition::Always) }
}
