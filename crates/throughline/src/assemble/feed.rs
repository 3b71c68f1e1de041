// SPDX-License-Identifier: MIT OR Apache-2.0
//! How each resource hears of what other programs write: which feed there is, and what is said of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use throughline_core::{Feed, Rng, Tasks as _};
use throughline_engine::{Invalidation, InvalidationStats, Space};
use throughline_sources::sql::{Action, Consumer, Table};

use super::Surroundings;
use super::source::{OpenSource, OpenTable};
use crate::config::{CacheKind, ResourceSettings, Settings, TableChoice};
use crate::listing::Listing;
use crate::throughline::Gauge;

/// What one source's feed counts.
pub(super) struct OpenFeed {
    backend: String,
    stats: Arc<InvalidationStats>,
}

/// Whose news a source's feed gives, and whether our own writes need not come back as news.
#[derive(Clone, Debug)]
pub(super) struct Consumption {
    pub(super) consumer: Consumer,
    /// Every resource of the source marks its entries in a cache of this consumer.
    pub(super) marks_all: bool,
}

impl Consumption {
    /// As the caches of the resources of the source at `place` will have it.
    pub(super) fn of(settings: &Settings, place: usize, rng: &Rng) -> Self {
        let source = &settings.sources[place];
        let named = settings.resources.iter().filter(|resource| resource.source == place);
        let mut caches: Vec<Option<usize>> = named.map(|resource| resource.cache).collect();
        if !matches!(source.tables, TableChoice::Named) {
            caches.push((!settings.caches.is_empty()).then_some(0));
        }
        let is_memory = |place: &usize| matches!(settings.caches[*place].kind, CacheKind::Memory { .. });
        let consumer = if caches.iter().flatten().any(is_memory) {
            Consumer::Process(format!("process-{:016x}", rng.next_u64()))
        } else {
            Consumer::Shared
        };
        Self { consumer, marks_all: caches.iter().all(Option::is_some) }
    }
}

/// Starts a feed for every source that has one.
pub(super) fn start_all(
    sources: &[OpenSource],
    chosen: &[ResourceSettings],
    listings: &[Listing],
    surroundings: &Surroundings,
) -> Vec<OpenFeed> {
    if surroundings.checking {
        // A consumer would register itself.
        return Vec::new();
    }
    let mut feeds = Vec::new();
    for (place, source) in sources.iter().enumerate() {
        let mut tables: HashMap<Arc<str>, Vec<Arc<Space>>> = HashMap::new();
        for (settings, listing) in chosen.iter().zip(listings) {
            if settings.source == place && listing.space.has_cache() {
                tables.entry(settings.table.as_str().into()).or_default().push(listing.space.clone());
            }
        }
        let Some(feed): Option<Arc<dyn Feed>> = source.feed(&tables, surroundings) else { continue };
        let invalidation = Invalidation::new(feed, tables, surroundings.clock.clone());
        feeds.push(OpenFeed { backend: source.name.clone(), stats: invalidation.stats() });
        surroundings.tasks.spawn("invalidate by a feed", Box::pin(invalidation.run()));
    }
    feeds
}

impl OpenFeed {
    /// What it counts.
    pub(super) fn gauges(&self) -> Vec<Gauge> {
        let mut gauges = Vec::new();
        self.stats.for_each(|name, meaning, number| {
            gauges.push(Gauge {
                role: "feed",
                backend: self.backend.clone(),
                name,
                meaning,
                number,
                node: None,
            });
        });
        gauges
    }
}

/// When another program's SQL on the resource's table is seen.
pub(super) fn others_seen(
    source: &OpenSource,
    table: &Table,
    open: &OpenTable,
    settings: &ResourceSettings,
) -> String {
    let spelled = |ms| humantime::format_duration(Duration::from_millis(ms));
    if settings.http.is_some() {
        return match settings.cache {
            None => "the service's other clients are seen at once: every read asks it".to_owned(),
            Some(_) => format!(
                "the service's other clients are seen when the entry expires (ttl {})",
                spelled(settings.ttl.entry_ms)
            ),
        };
    }
    if settings.cache.is_none() {
        return "other programs' SQL is seen at once: every read asks the source".to_owned();
    }
    let late =
        format!("while news are late, no entry older than {} is used", spelled(settings.staleness_ms_max));
    let expires = format!("when the entry expires (ttl {})", spelled(settings.ttl.entry_ms));
    if open.is_fed {
        let cascades = |key: &throughline_sources::sql::ForeignKey| {
            [key.on_delete, key.on_update].iter().any(|action| *action != Action::Restrict)
        };
        let but = if source.cascades_fire_triggers() || !table.foreign_keys.iter().any(cascades) {
            String::new()
        } else {
            format!("; but what a foreign key cascades fires no trigger here and is seen {expires}")
        };
        return format!("other programs' SQL is seen within 0.1 s, row by row (outbox); {late}{but}");
    }
    if source.tells_that_it_changed() {
        return "other programs' SQL is seen within 0.1 s: all entries of the table are dropped then"
            .to_owned();
    }
    format!(
        "other programs' SQL is seen {expires}; `throughline init URL --outbox {}` changes that",
        table.name
    )
}
