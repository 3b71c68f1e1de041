// SPDX-License-Identifier: MIT OR Apache-2.0
//! The caches that settings name.

mod memcached;

use std::sync::Arc;

use throughline_caches::{MemoryCache, MemoryConfig};
use throughline_core::{Cache, LocalCache, Nodes};

use super::guard::CacheGuard;
use super::level::Obstacle;
use super::{Surroundings, Wrap};
use crate::config::{CacheKind, CacheSettings};
use crate::throughline::{Gauge, Notice};
use memcached::OpenMemcached;

/// A cache as resources get it.
pub(super) struct OpenCache {
    pub(super) cache: Arc<dyn Cache>,
    /// The look-up without waiting, if it is in this process and nothing is wrapped around it.
    pub(super) local: Option<Arc<dyn LocalCache>>,
    /// Its servers, if it is on any.
    pub(super) nodes: Option<Arc<dyn Nodes>>,
    /// What it is, for people.
    pub(super) label: String,
    pub(super) name: String,
    kind: Kind,
    /// What stands before it, if it is remote.
    guard: Option<CacheGuard>,
}

enum Kind {
    Memory(Arc<MemoryCache>),
    Memcached(OpenMemcached),
}

pub(super) fn open_all(
    settings: &[CacheSettings],
    surroundings: &Surroundings,
    wrap: Option<&Wrap<dyn Cache>>,
) -> Vec<OpenCache> {
    let open = |settings: &CacheSettings| {
        let mut open = open(settings, surroundings);
        if let Some(wrap) = wrap {
            open.cache = wrap(open.cache);
            open.local = None;
        }
        if let Some(guard) = &open.guard {
            open.cache = guard.cache(open.cache);
        }
        open
    };
    settings.iter().map(open).collect()
}

fn open(settings: &CacheSettings, surroundings: &Surroundings) -> OpenCache {
    let name = settings.name.clone();
    match &settings.kind {
        CacheKind::Memory { capacity_bytes } => {
            let config = MemoryConfig { capacity_bytes: *capacity_bytes, ..MemoryConfig::default() };
            let memory = Arc::new(MemoryCache::new(&config, surroundings.clock.clone()));
            OpenCache {
                cache: memory.clone(),
                local: Some(memory.clone()),
                nodes: None,
                label: format!("{name} (in this process, {} MiB)", capacity_bytes >> 20),
                name,
                kind: Kind::Memory(memory),
                guard: None,
            }
        }
        CacheKind::Memcached(settings) => {
            let memcached = memcached::open(settings, surroundings);
            OpenCache {
                cache: memcached.tiers(),
                local: memcached.local(),
                nodes: Some(memcached.cache.clone()),
                label: format!("{name} ({})", memcached.label()),
                guard: Some(CacheGuard::new(
                    memcached.node_labels(&name),
                    &surroundings.clock,
                    &surroundings.rng,
                )),
                name,
                kind: Kind::Memcached(memcached),
            }
        }
    }
}

impl OpenCache {
    /// Waits for the first attempts to reach its servers, if it has any, and says how they are.
    pub(super) async fn notices(&self) -> Vec<Notice> {
        match &self.kind {
            Kind::Memory(_) => Vec::new(),
            Kind::Memcached(memcached) => memcached.notices(&self.name).await,
        }
    }

    /// For how long, in milliseconds, this process uses copies without asking whether they are still right.
    pub(super) fn unchecked_ms(&self) -> Option<u64> {
        match &self.kind {
            Kind::Memory(_) => None,
            Kind::Memcached(memcached) => memcached.unchecked_ms(),
        }
    }

    /// Why nobody can be sure that its entries are right, if nobody can.
    pub(super) fn unchecked(&self) -> Option<Obstacle> {
        let ttl = memcached::spelled(self.unchecked_ms()?);
        Some(Obstacle {
            why: format!("cache `{}` uses copies in this process for {ttl} without asking", self.name),
            remedy: format!("set l1 = \"validate\" in [caches.{}], or leave it out", self.name),
        })
    }

    /// What it counts about itself.
    pub(super) fn gauges(&self) -> Vec<Gauge> {
        let gauge = |name, meaning, number| Gauge {
            role: "cache",
            backend: self.name.clone(),
            node: None,
            name,
            meaning,
            number,
        };
        let mut gauges = match &self.kind {
            Kind::Memory(memory) => vec![
                gauge("entries", "Entries that are held.", memory.entries() as u64),
                gauge("bytes", "Bytes of the capacity that are taken.", memory.weight_bytes()),
            ],
            Kind::Memcached(memcached) => memcached.gauges(&self.name),
        };
        gauges.extend(self.guard.iter().flat_map(|guard| guard.gauges(&self.name)));
        gauges
    }
}
