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
use throughline_core::{Cache, Clock, Journal, Loader, Member, PlainStore, Rng, Writer};
use throughline_engine::{Behind, TransactionSource};
use throughline_journals::LocalJournal;
use tokio::runtime::Handle;

pub use install::{Installation, install, install_script};

use self::fence::Fences;
use self::guard::SourceGuard;
use crate::clock::MonotonicClock;
use crate::config::{ConfigError, Settings};
use crate::listing::Listing;
use crate::tasks::TrackedTasks;
use crate::throughline::{Gauge, Notice, Throughline};

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
        let surroundings = self.surroundings();
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
        let journals = journals.as_ref();
        let owners = owners::refuse(&self.settings, &chosen, &sources, journals, &mut notices).await?;
        let opened = resource::Opened {
            sources: &sources,
            caches: &caches,
            fences: &fences,
            journals,
            chosen: &chosen,
        };
        let (listings, members) = self.listings(&opened, &surroundings, &mut notices).await?;
        owners.watch(&self.settings, &chosen, &sources, &listings, journals, &surroundings);
        let behinds = listings.iter().filter_map(|listing| listing.behind.clone()).collect();
        let kept = journals.map(behind::Journals::handles);
        let owed =
            journal::keep_owed(&self.settings, &chosen, &listings, &caches, &mut notices, self.checking)
                .await?;
        let feeds = feed::start_all(&sources, &chosen, &listings, &surroundings);
        let plain = self.settings.plain_bytes.map(|bytes| plain(bytes, &surroundings.clock));
        let transactions = transaction::sources(&sources, &chosen, &listings, &members);
        let agreed = fences.all();
        let Surroundings { guards, tasks, .. } = surroundings;
        let begun_on = transactions.clone();
        let counting = Counting { caches, fences, sources, begun_on, feeds, owed, kept, behinds, guards };
        let throughline = Throughline::new(listings, plain, move || counting.gauges(), tasks, notices);
        Ok(throughline.with_transactions(transactions).with_fences(agreed))
    }

    fn surroundings(&self) -> Surroundings {
        let clock: Arc<dyn Clock> = Arc::new(MonotonicClock);
        let rng = Arc::new(Rng::from_seed(RandomState::new().hash_one(std::process::id())));
        let guards = self.settings.sources.iter().map(|source| SourceGuard::new(source, &clock, &rng));
        Surroundings {
            guards: guards.collect(),
            clock,
            rng,
            tasks: TrackedTasks::new(Handle::current()),
            checking: self.checking,
        }
    }

    /// Every resource, with its number at its source; accepted writes are applied from now on.
    async fn listings(
        &self,
        opened: &resource::Opened<'_>,
        surroundings: &Surroundings,
        notices: &mut Vec<Notice>,
    ) -> Result<(Vec<Listing>, Vec<Option<Member>>), ConfigError> {
        let mut listings: Vec<Listing> = Vec::with_capacity(opened.chosen.len());
        let mut members = Vec::with_capacity(opened.chosen.len());
        for settings in opened.chosen {
            let (listing, member) = self.resource(settings, opened, surroundings, notices).await?;
            listings.push(listing);
            members.push(member);
        }
        resource::introduce_siblings(opened.chosen, &listings);
        for (settings, listing) in opened.chosen.iter().zip(&listings) {
            if let Some(behind) = &listing.behind {
                behind::start(behind, settings.behind.schedule.clone(), surroundings);
            }
        }
        Ok((listings, members))
    }
}

/// Whatever counts something about itself.
struct Counting {
    caches: Vec<cache::OpenCache>,
    fences: Fences,
    sources: Vec<source::OpenSource>,
    begun_on: Vec<Arc<TransactionSource>>,
    feeds: Vec<feed::OpenFeed>,
    /// The journal of drops that are owed to a cache.
    owed: Option<Arc<LocalJournal>>,
    /// Those of accepted writes.
    kept: Option<[(&'static str, Arc<LocalJournal>); 2]>,
    behinds: Vec<Arc<Behind>>,
    guards: Vec<SourceGuard>,
}

impl Counting {
    fn gauges(&self) -> Vec<Gauge> {
        let caches = self.caches.iter().flat_map(cache::OpenCache::gauges);
        let sources = self.sources.iter().flat_map(source::OpenSource::gauges);
        let feeds = self.feeds.iter().flat_map(feed::OpenFeed::gauges);
        let owed = self.owed.iter().flat_map(|journal| journal::gauges(journal::FOLDER, journal));
        let kept = self.kept.iter().flatten().flat_map(|(name, journal)| journal::gauges(name, journal));
        let behinds = self.behinds.iter().flat_map(|behind| behind::gauges(behind));
        let transactions = self.begun_on.iter().flat_map(|source| transaction::gauges(source));
        caches
            .chain(self.fences.gauges())
            .chain(sources)
            .chain(transactions)
            .chain(feeds)
            .chain(owed)
            .chain(kept)
            .chain(behinds)
            .chain(self.guards.iter().flat_map(SourceGuard::gauges))
            .collect()
    }
}

fn plain(bytes: u64, clock: &Arc<dyn Clock>) -> Arc<dyn PlainStore> {
    let config = PlainMemoryConfig { capacity_bytes: bytes };
    Arc::new(PlainMemory::new(&config, clock.clone()))
}
