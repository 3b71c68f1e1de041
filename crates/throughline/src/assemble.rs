// SPDX-License-Identifier: MIT OR Apache-2.0
//! From settings to a running program: the only place that names backends and fixes the order of wrappers.
//!
//! As a read meets them: this process's memory (no waiting) → single-flight → cache → source. As a write meets
//! them: source (prepare) → cache (mark) → source (commit) → cache (publish). What stands before each source and
//! cache, and in which order, is in `guard`. L1 is directly around its L2, so that a breaker and a tracer see one cache.

mod about;
mod behind;
mod cache;
mod feed;
mod fence;
mod guard;
mod install;
mod journal;
mod level;
mod outbox;
mod owners;
mod resource;
mod source;
mod staleness;
mod transaction;

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use throughline_caches::{PlainMemory, PlainMemoryConfig};
use throughline_core::{Cache, Clock, Journal, Loader, PlainStore, Rng, Writer};
use tokio::runtime::Handle;

pub use install::{Installation, install, install_script};

use self::fence::Fences;
use self::guard::SourceGuard;
use crate::clock::MonotonicClock;
use crate::config::{ConfigError, Settings};
use crate::listing::Listing;
use crate::tasks::TrackedTasks;
use crate::throughline::Throughline;

pub use outbox::OutboxPlan;

type Wrap<T> = Box<dyn Fn(Arc<T>) -> Arc<T> + Send + Sync>;

/// Puts together what settings name.
pub struct Assembly {
    settings: Settings,
    wrap_loader: Option<Wrap<dyn Loader>>,
    wrap_writer: Option<Wrap<dyn Writer>>,
    wrap_cache: Option<Wrap<dyn Cache>>,
    wrap_journal: Option<Wrap<dyn Journal>>,
    checking: bool,
}

/// What every part is given.
struct Surroundings {
    clock: Arc<dyn Clock>,
    rng: Arc<Rng>,
    tasks: TrackedTasks,
    /// What stands before each source.
    guards: Vec<SourceGuard>,
    /// Whether nothing may be changed.
    checking: bool,
}

impl std::fmt::Debug for Assembly {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Assembly").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Assembly {
    /// An assembly of what `settings` name.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            wrap_loader: None,
            wrap_writer: None,
            wrap_cache: None,
            wrap_journal: None,
            checking: false,
        }
    }

    /// Wraps the read side of every resource's source, for tracing or for trying out faults.
    #[must_use]
    pub fn wrap_loaders(
        self,
        wrap: impl Fn(Arc<dyn Loader>) -> Arc<dyn Loader> + Send + Sync + 'static,
    ) -> Self {
        Self { wrap_loader: Some(Box::new(wrap)), ..self }
    }

    /// Wraps the write side of every resource's source.
    #[must_use]
    pub fn wrap_writers(
        self,
        wrap: impl Fn(Arc<dyn Writer>) -> Arc<dyn Writer> + Send + Sync + 'static,
    ) -> Self {
        Self { wrap_writer: Some(Box::new(wrap)), ..self }
    }

    /// Wraps every cache. The look-up without waiting goes past a wrapper, so it is switched off.
    #[must_use]
    pub fn wrap_caches(
        self,
        wrap: impl Fn(Arc<dyn Cache>) -> Arc<dyn Cache> + Send + Sync + 'static,
    ) -> Self {
        Self { wrap_cache: Some(Box::new(wrap)), ..self }
    }

    /// Wraps the journal of accepted writes, as each resource that is written behind sees it.
    #[must_use]
    pub fn wrap_journals(
        self,
        wrap: impl Fn(Arc<dyn Journal>) -> Arc<dyn Journal> + Send + Sync + 'static,
    ) -> Self {
        Self { wrap_journal: Some(Box::new(wrap)), ..self }
    }

    /// Only looks what would be served and at which level, and changes nothing: SQLite files are opened for
    /// reading only. Writes to them fail then.
    #[must_use]
    pub fn checking(self) -> Self {
        Self { checking: true, ..self }
    }

    /// Connects sources, makes caches, decides on levels. Must be called on a tokio runtime, which then runs the
    /// background work.
    ///
    /// A memcached server need not be there yet; a source must be.
    ///
    /// # Errors
    /// What the settings ask for and cannot be had, with the place in the file if it is known.
    pub async fn open(self) -> Result<Throughline, ConfigError> {
        let clock: Arc<dyn Clock> = Arc::new(MonotonicClock);
        let rng = Arc::new(Rng::from_seed(RandomState::new().hash_one(std::process::id())));
        let guards = self.settings.sources.iter().map(|source| SourceGuard::new(source, &clock, &rng));
        let surroundings = Surroundings {
            guards: guards.collect(),
            clock,
            rng,
            tasks: TrackedTasks::new(Handle::current()),
            checking: self.checking,
        };
        let caches = cache::open_all(&self.settings.caches, &surroundings, self.wrap_cache.as_ref());
        let sources = source::open_all(&self.settings, &surroundings).await?;
        let mut notices = Vec::new();
        for cache in &caches {
            notices.extend(cache.notices().await);
        }
        notices.extend(sources.iter().flat_map(source::OpenSource::notices));
        let chosen = resource::choose(&self.settings, &sources, &mut notices)?;
        let fences = Fences::open(&chosen, &sources, &caches, &surroundings).await?;
        let journals = behind::Journals::open(&self.settings, &chosen, self.checking).await?;
        if let Some(journals) = &journals {
            journals.refuse_strangers(&chosen, &mut notices)?;
        }
        owners::refuse(&self.settings, &chosen, &sources, journals.as_ref(), &mut notices).await?;
        let mut listings: Vec<Listing> = Vec::with_capacity(chosen.len());
        let mut members = Vec::with_capacity(chosen.len());
        let opened = resource::Opened {
            sources: &sources,
            caches: &caches,
            fences: &fences,
            journals: journals.as_ref(),
            chosen: &chosen,
        };
        for settings in &chosen {
            let resource = self.resource(settings, &opened, &surroundings, &mut notices);
            let (listing, member) = resource.await?;
            listings.push(listing);
            members.push(member);
        }
        resource::introduce_siblings(&chosen, &listings);
        for (settings, listing) in chosen.iter().zip(&listings) {
            if let Some(behind) = &listing.behind {
                behind::start(behind, settings.behind.schedule.clone(), &surroundings);
            }
        }
        owners::watch(&self.settings, &chosen, &sources, &listings, journals.as_ref(), &surroundings);
        let behinds: Vec<_> = listings.iter().filter_map(|listing| listing.behind.clone()).collect();
        let kept = journals.map(|journals| journals.handles());
        let journal =
            journal::keep_owed(&self.settings, &chosen, &listings, &caches, &mut notices, self.checking)
                .await?;
        let feeds = feed::start_all(&sources, &chosen, &listings, &surroundings);
        let plain = self.settings.plain_bytes.map(|bytes| plain(bytes, &surroundings.clock));
        let transactions = transaction::sources(&sources, &chosen, &listings, &members);
        let (begun_on, agreed) = (transactions.clone(), fences.all());
        let guards = surroundings.guards;
        let gauges = move || {
            let caches = caches.iter().flat_map(cache::OpenCache::gauges);
            let sources = sources.iter().flat_map(source::OpenSource::gauges);
            let feeds = feeds.iter().flat_map(feed::OpenFeed::gauges);
            let journals = journal.iter().flat_map(|journal| journal::gauges(journal::FOLDER, journal));
            let kept = kept.iter().flatten().flat_map(|(name, journal)| journal::gauges(name, journal));
            let behinds = behinds.iter().flat_map(|behind| behind::gauges(behind));
            let transactions = begun_on.iter().flat_map(|source| transaction::gauges(source));
            caches
                .chain(fences.gauges())
                .chain(sources)
                .chain(transactions)
                .chain(feeds)
                .chain(journals)
                .chain(kept)
                .chain(behinds)
                .chain(guards.iter().flat_map(SourceGuard::gauges))
                .collect()
        };
        let throughline = Throughline::new(listings, plain, gauges, surroundings.tasks, notices);
        Ok(throughline.with_transactions(transactions).with_fences(agreed))
    }
}

fn plain(bytes: u64, clock: &Arc<dyn Clock>) -> Arc<dyn PlainStore> {
    let config = PlainMemoryConfig { capacity_bytes: bytes };
    Arc::new(PlainMemory::new(&config, clock.clone()))
}
